"""What names the images in each table: its columns of file names, or of the folders that hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from derm_ml.data.collections.matching import SEVERAL, FileIndex, naming_columns
from derm_ml.data.collections.names import IMAGE_COLUMNS, MASK_COLUMNS, NO_COLUMN, NOT_IMAGES, plain, split_of
from derm_ml.data.collections.tables import Table, without_header
from derm_ml.errors import UserError, give

FILE, SPLIT, ROW = " file", " split", " row"  # a leading blank keeps them apart from the tables' own columns
ADDRESS = re.compile(r"(^|_)(url|uri|href|link)($|_)")
PAIRS = re.compile(r"duplicate|pairs|same_lesion")


@dataclass
class Sheet:
    """A table and the files that its rows name.

    Attributes:
        columns: column to the file of every row (position; -1: none, -2: several).
        shared: a row may be of several images: its column names their folder, patient or lesion.
        told: how it names them, where that is more than by their names.
    """

    table: Table
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    shared: bool = False
    told: str = ""

    @property
    def lists_pairs(self) -> bool:
        """Whether a row says that two images are one picture."""
        others = [c for c in self.table.frame.columns if c not in self.columns and not NO_COLUMN.match(plain(c))]
        return len(self.columns) == 2 and (not others or bool(PAIRS.search(self.table.name.lower())))

    def rows(self) -> pd.DataFrame:
        """The table, a row for each image it names, with the file's position in ` file`."""
        frame = self.table.frame.copy()
        frame[SPLIT], frame[ROW] = split_of(self.table.name), np.arange(len(frame))
        parts = [frame.assign(**{FILE: rows}) for rows in self.columns.values()]
        if len(parts) > 1:  # several images a row: those that a row leaves empty are none
            parts = [part[self.table.frame[column] != ""] for part, column in zip(parts, self.columns, strict=True)]
        return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]


def name_files(table: Table, index: FileIndex, image: str = "") -> Sheet:
    """Find the columns that name files; none: the sheet has no columns.

    Args:
        image: the column to take, by the user's word.

    Raises:
        UserError: columns name files, and not the same ones.
    """
    header = pd.Series([str(column) for column in table.frame.columns], dtype=object)
    if (index.locate(header) != -1).any():
        table = without_header(table)
    columns = [column for column in table.frame.columns if _may_name(plain(column))]
    if image:
        columns = [column for column in table.frame.columns if image in (column, plain(column))]
    found = naming_columns(table.frame, index, columns)
    if not found and not image:  # where they were downloaded from
        found = naming_columns(table.frame, index, [c for c in table.frame.columns if ADDRESS.search(plain(c))])
    if not found and (several := _one_a_row(table, index, columns)) is not None:
        return name_files(several, index, image)
    return Sheet(table, _chosen(table, found) if len(found) > 1 else found)


def _one_a_row(table: Table, index: FileIndex, columns: Sequence[str]) -> Table | None:
    """The table with a row for each image, where cells of a column list several: `a.jpg; b.jpg`."""
    for column in columns:
        lists = table.frame[column].str.strip("[]{}() ").str.split(r"\s*[;,|\n]\s*", regex=True)
        if not lists.map(len).gt(1).any():
            continue
        values = lists.explode()
        values = values.str.strip(" \"'")
        named = values[values != ""]
        if len(named) and (index.locate(named) >= 0).mean() >= 0.5:
            frame = table.frame.loc[values.index].assign(**{column: values.to_numpy()}).reset_index(drop=True)
            return Table(table.name, frame, f"{table.told}, several images a cell")
    return None


def _may_name(column: str) -> bool:
    return column not in MASK_COLUMNS and not NOT_IMAGES.search(column)


def _chosen(table: Table, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of columns that name the same files one, of those that name other files all."""
    kept: dict[str, np.ndarray] = {}
    ordered = sorted(found.items(), key=lambda item: not IMAGE_COLUMNS.search(plain(item[0])))
    sheet = Sheet(table, found)
    if sheet.lists_pairs:
        return found
    for column, rows in ordered:
        relations = {other: _relation(rows, theirs) for other, theirs in kept.items()}
        if all(relation == "other files" for relation in relations.values()):
            kept[column] = rows
        elif "overlapping" in relations.values() and not _settled(column, rows, kept):
            raise UserError(
                f"{table.name}: the columns {', '.join(found)} all name images, and not the same ones: say which with, "
                f"for instance, {give(f'image={next(iter(found))}')}"
            )
    return kept


def _relation(rows: np.ndarray, others: np.ndarray) -> str:
    both = (rows >= 0) & (others >= 0)
    if both.any() and (rows == others)[both].mean() > 0.95:
        return "same files"
    left, right = np.unique(rows[rows >= 0]), np.unique(others[others >= 0])
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return "other files" if shared <= 0.05 * min(len(left), len(right)) else "overlapping"


def _settled(column: str, rows: np.ndarray, kept: dict[str, np.ndarray]) -> bool:
    """Whether the columns kept so far are the better ones: by their names, or since this one repeats itself."""
    if any(IMAGE_COLUMNS.search(plain(each)) for each in kept) and not IMAGE_COLUMNS.search(plain(column)):
        return True
    named = rows[rows >= 0]
    repeats = len(np.unique(named)) < 0.9 * len(named)
    best = max((len(np.unique(each[each >= 0])) for each in kept.values()), default=0)
    return repeats and len(np.unique(named)) < best


def name_folders(table: Table, names: Sequence[str]) -> Sheet:
    """The same for a column that names the folders which hold the images, one a patient or lesion, say."""
    folders = [name.rpartition("/")[0] for name in names]
    unique = sorted(set(folders) - {""})
    index = FileIndex(unique)
    columns = [column for column in table.frame.columns if _may_name(plain(column))]
    found = naming_columns(table.frame, index, columns)
    found = {c: rows for c, rows in found.items() if len(set(rows[rows >= 0].tolist())) == (rows >= 0).sum()}
    if not found:
        return Sheet(table)
    column, places = next(iter(found.items()))
    inside: dict[str, list[int]] = {}
    for position, folder in enumerate(folders):
        inside.setdefault(folder, []).append(position)
    rows: list[int] = []
    files: list[int] = []
    for row, place in enumerate(places.tolist()):
        each = inside.get(unique[place], []) if place >= 0 else [place if place == SEVERAL else -1]
        rows += [row] * len(each)
        files += each
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return Sheet(Table(table.name, frame, table.told), {column: np.array(files, dtype=np.int64)}, shared=True)


def positions_of(table: Table) -> np.ndarray | None:
    """Row numbers, where a table is a split's list of them (`train_indexes.csv`); None where it is not."""
    columns = [column for column in table.frame.columns if not NO_COLUMN.match(plain(column))]
    columns = columns or list(table.frame.columns)[-1:]
    if not split_of(table.name) or len(columns) != 1 or not re.search(r"ind(ex|ic|x)|idx", table.name + columns[0]):
        return None
    values = table.frame[columns[0]]
    return values.astype(np.int64).to_numpy() if len(values) and values.str.fullmatch(r"\d+").all() else None
