"""A folder or a table as people have it, read: what is an image, its label, its group, its split; and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from derm_ml.data.collections.by_file import by_file
from derm_ml.data.collections.choice import Choice, ambiguous
from derm_ml.data.collections.draft import Draft, bare, mask_column, one_row_an_image, take, to_source
from derm_ml.data.collections.folders import Folders, contradicted, read_folders
from derm_ml.data.collections.groups import by_key, find_groups
from derm_ml.data.collections.image_names import by_image_names
from derm_ml.data.collections.joining import Joined, join_tables
from derm_ml.data.collections.labels import find_label
from derm_ml.data.collections.layouts import Layout, recognise
from derm_ml.data.collections.legend import with_legend
from derm_ml.data.collections.listing import PACKED, TABLES, suffix
from derm_ml.data.collections.matching import FileIndex
from derm_ml.data.collections.metadata import find_metadata
from derm_ml.data.collections.naming import FILE
from derm_ml.data.collections.pictures import Pictures, beside_table, in_folder, without_copies
from derm_ml.data.collections.splits import find_split
from derm_ml.data.collections.table_names import ASKED, by_table_names
from derm_ml.data.collections.tables import Table, UnreadableTable, read_table
from derm_ml.data.collections.unread import listed, may_be_patients, unread_columns
from derm_ml.data.collections.unused import refuse_ignored_tables, refuse_stray_tables, say_tables
from derm_ml.data.source import Reading, Source
from derm_ml.errors import UserError, give, printable


def read_collection(spec: str, reading: Reading, *, labelled: bool = True) -> Source:
    """Read a folder, or a table and the images it names.

    Args:
        labelled: False: all photographs of the folder (or of the table's column), and nothing of them.

    Raises:
        UserError: nothing there, or several readings are possible; with the parameter that settles it.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        pictures = in_folder(path)
        tables, unreadable = _tables(path, pictures.tables) if labelled else ([], {})
    elif suffix(path.name) in PACKED:
        raise UserError(f"data={spec}: an archive: unpack it, and give the folder")
    else:
        try:
            table = read_table(path, path.name)
        except UnreadableTable as error:
            raise UserError(f"data={spec}: {error}: give a table of images, or their folder") from error
        pictures, tables, unreadable = beside_table(path, table), [table], {}
    if not pictures.names:
        raise UserError(f"data={spec}: {_nothing(pictures)}")
    joined = join_tables(tables, FileIndex(pictures.names), reading.image)
    if tables and (joined is None or joined.several) and without_copies(pictures):
        joined = join_tables(tables, FileIndex(pictures.names), reading.image)
    if joined is None and not path.is_dir():
        columns = ", ".join(tables[0].frame.columns[:20])
        raise UserError(
            f"data={spec}: it names none of the images beside it (columns: {columns}): put the images it names there, "
            "or give their folder"
        )
    if joined is not None and not labelled:
        joined.rows = joined.rows[[FILE]].drop_duplicates()
        draft = bare(spec, pictures, joined.rows[FILE].reset_index(drop=True))
    elif joined is not None:
        draft = _from_tables(spec, pictures, joined, tables, reading)
    elif not labelled:
        draft = bare(spec, pictures, pd.Series(range(len(pictures.names))))
    else:
        draft = _from_folders(spec, pictures, reading)
        refuse_ignored_tables(spec, draft, tables, unreadable, reading)
    say_tables(draft, joined, tables, unreadable)
    return to_source(draft, reading)


def _tables(root: Path, names: Sequence[str]) -> tuple[list[Table], dict[str, str]]:
    """Those that can be read, and why the others cannot; a text without a table's suffix may be anything."""
    tables, unreadable = [], {}
    for name in names:
        try:
            tables.append(read_table(root / name, printable(name)))
        except UnreadableTable as error:
            if suffix(name) in TABLES:
                unreadable[printable(name)] = str(error)
    return tables, unreadable


def _nothing(pictures: Pictures) -> str:
    count = len(pictures.refused) + len(pictures.tables)
    seen = f"{count:,} files, none an image" if count else "it is empty"
    packed = [name for name, _ in pictures.refused if suffix(name) in PACKED]
    if packed:
        tar = "; a .tar is read as it is: gunzip is enough" * packed[0].endswith((".tar.gz", ".tgz"))
        told = f"{len(packed):,} archive{'s' * (len(packed) > 1)} ({', '.join(packed[:3])})"
        return f"no images, but {told}: unpack here, and check again{tar}"
    return f"no images recognised ({seen}): give a folder that holds images, with a table or a folder a class"


def _from_tables(spec: str, pictures: Pictures, joined: Joined, tables: Sequence[Table], reading: Reading) -> Draft:
    rows = joined.rows
    inside = pictures.folders.take(rows[FILE].to_numpy()).set_axis(rows.index)
    draft = bare(spec, pictures, rows[FILE])
    layout = recognise(rows.columns)
    draft.kind = layout.name if layout else "table"
    folders = read_folders(inside, reading.label, reading.group, want_labels=False)
    label = _label(rows, joined, layout, folders, inside, reading, tables)
    if label is not None and (legend := with_legend(label, [t for t in tables if t.name in joined.unused])):
        joined.used.append(legend)
    naming = [column for column in joined.columns if column not in joined.shared]
    group = find_groups(rows, naming, "" if reading.group.startswith("folder") else reading.group)
    if group is None and label is not None:
        group = by_key(rows, joined.shared, label)
    if reading.group.startswith("folder") or (group is None and folders.groups is not None):
        group = Choice(folders.groups, folders.groups_told)  # type: ignore[arg-type]
    if group is None and not reading.group:
        group = by_file(pictures, rows[FILE])
    split = find_split(rows, inside, reading.split)
    named = rows[FILE].nunique()
    if label is None and reading.label != "none":
        draft.kind = "unlabelled table"
        columns = ", ".join(str(column) for column in rows.columns if not str(column).startswith(" "))
        draft.warnings.append(f"read without labels: no column tells a diagnosis (there are {columns})")
    told = joined.told or f"column {', '.join(dict.fromkeys(joined.columns))}"
    draft.choices.append(("images", f"{told}: names {named:,} of {len(pictures.names):,} photographs"))
    take(draft, label, group, split)
    taken = {*joined.columns}
    draft.metadata, origins = find_metadata(rows, taken)
    if origins:
        draft.choices.append(("also known", ", ".join(f"{name} ({column})" for name, column in origins.items())))
    said = " ".join(choice.told for choice in (label, group, split) if choice is not None) + ","
    said += "".join(f" column {column}," for column in origins.values())
    unread = unread_columns(rows, [*joined.columns, *origins.values(), *(label.columns if label else ())], said)
    if unread:
        draft.choices.append(("not read", f"column{'s' * (len(unread) > 1)} {listed(unread)}"))
    if group is None and (perhaps := may_be_patients(rows, unread, draft.labels)):
        draft.warnings.append(
            f"no column is called a patient or lesion, and {', '.join(perhaps[:5])} may be one (each value is of "
            f"a few images, of one diagnosis): they are kept in one split with {give(f'group={perhaps[0]}')}"
        )
    draft.pairs = joined.pairs
    mask_column(draft, rows)
    one_row_an_image(draft, joined.shared)
    missing = [(printable(value), f"in {table}, but no image file has this name") for value, table in joined.missing]
    several = [(printable(value), f"in {table}, and several files have this name") for value, table in joined.several]
    draft.refused += missing + several
    known = np.zeros(len(pictures.names), dtype=bool)
    known[rows[FILE].to_numpy(dtype=np.int64)] = True
    if draft.masks:
        masks = FileIndex(pictures.names).locate(pd.Series([*draft.masks.values()]))
        known[masks[masks >= 0]] = True
    sources = ", ".join(joined.used[:3])
    draft.refused += [(printable(pictures.names[place]), f"no row in {sources}") for place in np.flatnonzero(~known)]
    refuse_stray_tables(spec, draft, joined, named, reading)
    return draft


def _label(
    rows: pd.DataFrame,
    joined: Joined,
    layout: Layout | None,
    folders: Folders,
    inside: pd.Series,
    reading: Reading,
    tables: Sequence[Table],
) -> Choice | None:
    if reading.label == "none":
        return None
    if reading.label.startswith("folder"):
        assert folders.labels is not None
        return Choice(folders.labels, folders.told)
    found = None
    if reading.label == "" or (reading.label == ASKED and ASKED not in rows):
        headers = {table.name: list(table.frame.columns) for table in tables}
        found = by_table_names(rows, joined.listed, headers, asked=reading.label == ASKED)
    found = found or find_label(rows, joined.columns, layout, reading.label)
    if reading.label:
        return found
    try:
        by_folder = read_folders(inside, "", "none", want_labels=True)
    except UserError:  # two levels may be classes: a table settles it
        if found is None:
            raise
        return found
    if found is None and by_folder.labels is not None:
        found = Choice(by_folder.labels, f"{by_folder.told}; no column of the table tells one")
        found.lost = dict.fromkeys(by_folder.loose, "beside the class folders: move it into the folder of its class")
    elif found is not None and by_folder.labels is not None and contradicted(by_folder.labels, found.values):
        both = {found.column or "columns": found.values, "folder": by_folder.labels}
        raise ambiguous("label", both, "the table and the class folders disagree")
    return found


def _from_folders(spec: str, pictures: Pictures, reading: Reading) -> Draft:
    draft = bare(spec, pictures, pd.Series(range(len(pictures.names))))
    for parameter in ("label", "group", "split"):
        asked = getattr(reading, parameter)
        if asked and asked != "none" and not asked.startswith("folder"):
            raise UserError(
                f"{parameter}={asked}: no table names the images of {spec}, so that there are no columns: give "
                f"a table, or {give(f'{parameter}=folder', f'{parameter}=none')}"
            )
    folders = read_folders(pictures.folders, reading.label, reading.group, want_labels=True)
    label = None
    if folders.labels is not None:
        draft.kind = "folders"
        label = Choice(folders.labels, f"{folders.told} ({folders.labels[folders.labels != ''].nunique():,})")
        reason = "beside the class folders: move it into the folder of its class"
        label.lost = dict.fromkeys(folders.loose, reason)
    elif reading.label == "" and (label := by_image_names(pictures.names)) is not None:
        draft.kind = "labelled names"
    group = (
        None
        if folders.groups is None
        else Choice(folders.groups.where(folders.groups == "", _within(folders)), folders.groups_told)
    )
    if group is None and not reading.group:
        group = by_file(pictures, draft.files)
    take(draft, label, group, find_split(None, pictures.folders, reading.split))
    if label is None and folders.told:
        draft.choices = [("label", folders.told) if what == "label" else (what, told) for what, told in draft.choices]
        if any("/" in name for name in pictures.names) and reading.label != "none":
            draft.warnings.append(f"read without labels: {folders.told.removeprefix('none: ')}")
    return draft


def _within(folders: Folders) -> pd.Series:
    """Group names that hold inside a class alone: `1` of one class is not `1` of another, `patient 7` is."""
    assert folders.groups is not None
    if folders.labels is None or folders.groups_told != "the folders inside each class":
        return folders.groups
    return folders.labels + "/" + folders.groups
