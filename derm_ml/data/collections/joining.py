"""Tables to one row an image: sheets of one layout are stacked, others joined by the file or by a key they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from derm_ml.data.collections.keyed import COVERED, name_by_key
from derm_ml.data.collections.matching import SEVERAL, FileIndex
from derm_ml.data.collections.names import AGAIN, NO_COLUMN, SUBMISSIONS, plain, split_of
from derm_ml.data.collections.naming import FILE, ROW, SPLIT, Sheet, name_files, name_folders, positions_of
from derm_ml.data.collections.tables import Table
from derm_ml.data.missing import cleaned
from derm_ml.errors import UserError

FOUND_BY_KEY = 0.5  # of the rows must find theirs in a table that is joined by a key


@dataclass
class Joined:
    """One row an image that a table names (more, where a table names an image more often).

    Attributes:
        rows: the tables' columns, and ` file` (position in the index), ` split` (what the table's name or a list of row
            numbers tells).
        missing: (value, table) of rows without a file; several: of rows that name more than one.
        pairs: positions of files that the collection itself names as the same picture.
        columns: what names the files; shared: those of them whose values are of several files. told: how they do.
        listed: table to the positions of the files that it names.
        used: tables that were taken. unused: those that say nothing of the images.
    """

    rows: pd.DataFrame
    missing: list[tuple[str, str]] = field(default_factory=list)
    several: list[tuple[str, str]] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    told: str = ""
    listed: dict[str, np.ndarray] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def join_tables(tables: Sequence[Table], index: FileIndex, image: str = "") -> Joined | None:
    """The tables that say something of the files, as one; None where none does.

    Args:
        image: the column that names files; "": whichever does.

    Raises:
        UserError: no table has that column, or columns name files and differ.
    """
    tables = [table for table in tables if not SUBMISSIONS.search(table.name.lower())]
    lists = {table.name: found for table in tables if (found := positions_of(table)) is not None}
    sheets = [name_files(table, index, image) for table in tables if table.name not in lists]
    if not any(_names_most(sheet) for sheet in sheets):
        by_folder = [_by_folder(sheet, index.names, image) for sheet in sheets]
        sheets = by_folder if _named(by_folder) > _named(sheets) else sheets
    named = [sheet for sheet in sheets if sheet.columns]
    if image and not named:
        have = sorted({column for table in tables for column in table.frame.columns})
        told = f"the columns are {', '.join(have[:30])}" if have else "there is no table"
        raise UserError(f"image={image}: no table has a column of this name that names images: {told}")
    main = [sheet for sheet in named if not sheet.lists_pairs]
    if not main:
        return None
    joined = _stack(main)
    for sheet in named:
        if sheet.lists_pairs:
            left, right = sheet.columns.values()
            known = (left >= 0) & (right >= 0) & (left != right)
            joined.pairs += list(zip(left[known].tolist(), right[known].tolist(), strict=True))
            joined.used.append(sheet.table.name)
    _split_by_position(joined, lists, tables)
    _join_by_keys(joined, [sheet.table for sheet in sheets if not sheet.columns])
    for column in joined.rows.columns:  # once, for all that is read out of them
        if not column.startswith(" "):
            joined.rows[column] = cleaned(joined.rows[column])
    return joined


def _names_most(sheet: Sheet) -> bool:
    """Whether most of its rows name a file."""
    return any((rows >= 0).mean() >= COVERED for rows in sheet.columns.values())


def _named(sheets: Sequence[Sheet]) -> int:
    """How many files they name."""
    return len({row for sheet in sheets for rows in sheet.columns.values() for row in np.unique(rows[rows >= 0])})


def _by_folder(sheet: Sheet, names: Sequence[str], image: str) -> Sheet:
    """By folders that the column names as they are, or by the number in their names, or in the images'."""
    exact = Sheet(sheet.table) if image else name_folders(sheet.table, names)
    keyed = name_by_key(sheet.table, names, image)
    return exact if _named([exact]) >= _named([keyed]) else keyed


def _stack(sheets: Sequence[Sheet]) -> Joined:
    """Sheets of the same columns one below the other, those of other columns side by side, by file."""
    layouts: dict[tuple[str, ...], list[Sheet]] = {}
    for sheet in sheets:
        layouts.setdefault((*sheet.table.frame.columns, "", *sheet.columns), []).append(sheet)
    blocks = []
    joined = Joined(pd.DataFrame())
    for group in layouts.values():
        rows = pd.concat([sheet.rows() for sheet in group], ignore_index=True) if len(group) > 1 else group[0].rows()
        if len(group) == 1:
            rows[SPLIT] = rows[SPLIT] if _is_split_list(group[0]) else ""
        blocks.append(rows if (rows[FILE] >= 0).all() else rows[rows[FILE] >= 0])
        for sheet in group:
            _note_unfound(joined, sheet)
            joined.used.append(sheet.table.name)
            named = np.concatenate([*sheet.columns.values()])
            joined.listed[sheet.table.name] = np.unique(named[named >= 0])
            joined.columns += [column for column in sheet.columns if column not in joined.columns]
            joined.shared += sheet.columns if sheet.shared else []
            joined.told = joined.told or sheet.told
    blocks.sort(key=lambda block: -block[FILE].nunique())
    base = blocks[0]
    if not base[FILE].is_unique:
        base = base.sort_values(SPLIT, kind="stable", key=lambda split: split == "")  # all.csv beside train.csv
        base = base.drop_duplicates([c for c in base.columns if c not in (ROW, SPLIT)]).sort_index()
    joined.rows = base
    for block in blocks[1:]:
        joined.rows = _beside(joined.rows, block.drop(columns=ROW).drop_duplicates(FILE), FILE, "outer")
    joined.rows = joined.rows.reset_index(drop=True)
    return joined


def _is_split_list(sheet: Sheet) -> bool:
    """A list of the images of one split and nothing else."""
    return len(sheet.table.frame.columns) == len(sheet.columns)


def _note_unfound(joined: Joined, sheet: Sheet) -> None:
    for column, rows in sheet.columns.items():
        values = sheet.table.frame[column]
        for code, where in ((-1, joined.missing), (SEVERAL, joined.several)):
            lost = values[(rows == code) & (values != "").to_numpy()]
            where += [(str(value), sheet.table.name) for value in lost]


def _beside(rows: pd.DataFrame, block: pd.DataFrame, key: str, how: Literal["left", "outer"]) -> pd.DataFrame:
    """Joined by a key; of a column that both have the first's values stay, and blanks are filled from the second."""
    merged = rows.merge(block, on=key, how=how, suffixes=("", " again"))
    for column in [column for column in merged.columns if str(column).endswith(" again")]:
        name = column.removesuffix(" again")
        own, theirs = merged[name].fillna(""), merged[column].fillna("")
        merged[name] = own.where(own.astype(str) != "", theirs)
        differ = (own.astype(str) != "") & (theirs.astype(str) != "") & (own.astype(str) != theirs.astype(str))
        merged = merged.drop(columns=column)
        if differ.any() and not name.startswith(" "):
            merged[name + AGAIN] = theirs
    text = [column for column in merged.columns if column not in (FILE, ROW)]
    merged[text] = merged[text].fillna("")
    return merged


def _split_by_position(joined: Joined, lists: dict[str, np.ndarray], tables: Sequence[Table]) -> None:
    """`train_indexes.csv`: numbers of rows, counted from 0, of the one table beside them."""
    if not lists or ROW not in joined.rows:
        return
    for name, positions in lists.items():
        joined.rows.loc[joined.rows[ROW].isin(positions), SPLIT] = split_of(name)
        joined.used.append(name)


def _join_by_keys(joined: Joined, tables: Sequence[Table]) -> None:
    """Tables without images, by a column of the same name that tells their rows apart; again until none fits."""
    layouts: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        layouts.setdefault(tuple(table.frame.columns), []).append(table)
    waiting = list(layouts.values())
    while waiting:
        fitting = [(key, group) for group in waiting if (key := _key(joined.rows, group))]
        if not fitting:
            break
        for (own, theirs), group in fitting:
            block = pd.concat([table.frame for table in group], ignore_index=True)
            block = block[block[theirs] != ""].rename(columns={theirs: own})
            joined.rows = _beside(joined.rows, block, own, "left")
            joined.used += [table.name for table in group]
            waiting.remove(group)
    joined.unused += [table.name for group in waiting for table in group]


def _key(rows: pd.DataFrame, group: Sequence[Table]) -> tuple[str, str] | None:
    """(column of the rows, column of the tables) that joins them; None where there is none."""
    best, share = None, FOUND_BY_KEY
    mine = {plain(column): column for column in rows.columns if not NO_COLUMN.match(plain(column))}
    for theirs in group[0].frame.columns:
        own = mine.get(plain(theirs))
        if own is None or own.startswith(" "):
            continue
        values = pd.concat([table.frame[theirs] for table in group])
        values = values[values != ""]
        known = rows[own][rows[own] != ""]
        if values.is_unique and len(known):
            found = float(known.isin(values).mean())
            if found >= share:
                best, share = (own, theirs), found
    return best
