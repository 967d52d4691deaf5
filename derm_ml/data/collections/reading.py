"""A folder or a table as people have it, read: what is an image, its label, its group, its split; and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import Choice
from derm_ml.data.collections.classes import apply_class_map, one_spelling, read_class_map
from derm_ml.data.collections.folders import Folders, read_folders
from derm_ml.data.collections.groups import find_groups
from derm_ml.data.collections.joining import Joined, join_tables
from derm_ml.data.collections.labels import checked_classes, find_label
from derm_ml.data.collections.layouts import Layout, recognise
from derm_ml.data.collections.listing import TABLES, is_document, printable, suffix
from derm_ml.data.collections.masks import mask_reader
from derm_ml.data.collections.matching import FileIndex
from derm_ml.data.collections.metadata import find_metadata
from derm_ml.data.collections.names import MASK_COLUMNS, plain
from derm_ml.data.collections.naming import FILE
from derm_ml.data.collections.pictures import Pictures, beside_table, in_folder, without_copies
from derm_ml.data.collections.splits import find_split
from derm_ml.data.collections.tables import Table, UnreadableTable, read_table
from derm_ml.data.source import Reading, Source
from derm_ml.errors import UserError

COVERED = 0.5  # of the photographs that tables must name to be the collection's


@dataclass
class Draft:
    """A collection on its way to a source: a row an image, and what was said of it."""

    where: str
    pictures: Pictures
    files: pd.Series  # the position of every row's picture
    labels: pd.Series
    groups: pd.Series
    splits: pd.Series
    kind: str = "unlabelled folder"
    metadata: pd.DataFrame | None = None
    masks: dict[int, str] = field(default_factory=dict)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)  # row to the reason it is refused for


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
    if joined is not None and not labelled:
        joined.rows = joined.rows[[FILE]].drop_duplicates()
        draft = _bare(spec, pictures, joined.rows[FILE].reset_index(drop=True))
    elif joined is not None:
        draft = _from_tables(spec, pictures, joined, tables, reading)
    elif not labelled:
        draft = _bare(spec, pictures, pd.Series(range(len(pictures.names))))
    else:
        draft = _from_folders(spec, pictures, reading)
        _refuse_ignored_tables(spec, draft, tables, unreadable, reading)
    _say_tables(draft, joined, tables, unreadable)
    return _source(draft, reading)


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
    return f"no images recognised ({seen}): give a folder that holds images, with a table or a folder a class"


def _bare(spec: str, pictures: Pictures, files: pd.Series) -> Draft:
    empty = pd.Series("", index=files.index, dtype=object)
    return Draft(spec, pictures, files, empty, empty, empty)


def _from_tables(spec: str, pictures: Pictures, joined: Joined, tables: Sequence[Table], reading: Reading) -> Draft:
    rows = joined.rows
    names = pd.Series([pictures.names[position] for position in rows[FILE]], index=rows.index, dtype=object)
    draft = _bare(spec, pictures, rows[FILE])
    layout = recognise(rows.columns)
    draft.kind = layout.name if layout else "table"
    folders = read_folders(names, reading.label, reading.group, want_labels=False)
    label = _label(rows, joined, layout, folders, names, reading)
    group = find_groups(rows, joined.columns, "" if reading.group.startswith("folder") else reading.group)
    if reading.group.startswith("folder") or (group is None and folders.groups is not None):
        group = Choice(folders.groups, folders.groups_told)  # type: ignore[arg-type]
    split = find_split(rows, names, reading.split)
    named = rows[FILE].nunique()
    if label is None and reading.label != "none":
        draft.kind = "unlabelled table"
        columns = ", ".join(str(column) for column in rows.columns if not str(column).startswith(" "))
        draft.warnings.append(f"read without labels: no column tells a diagnosis (there are {columns})")
    told = ", ".join(dict.fromkeys(joined.columns))
    draft.choices.append(("images", f"column {told}: names {named:,} of {len(pictures.names):,} photographs"))
    _take(draft, label, group, split)
    taken = {*joined.columns}
    draft.metadata, origins = find_metadata(rows, taken)
    if origins:
        draft.choices.append(("also known", ", ".join(f"{name} ({column})" for name, column in origins.items())))
    draft.pairs = joined.pairs
    _mask_column(draft, rows)
    _one_row_an_image(draft)
    missing = [(printable(value), f"in {table}, but no image file has this name") for value, table in joined.missing]
    several = [(printable(value), f"in {table}, and several files have this name") for value, table in joined.several]
    draft.refused += missing + several
    masks = (
        {
            pictures.names[position]
            for position in FileIndex(pictures.names).locate(pd.Series([*draft.masks.values()]))
            if position >= 0
        }
        if draft.masks
        else set()
    )
    unnamed = [p for p in sorted(set(range(len(pictures.names))) - set(rows[FILE])) if pictures.names[p] not in masks]
    sources = ", ".join(joined.used[:3])
    draft.refused += [(printable(pictures.names[position]), f"no row in {sources}") for position in unnamed]
    _refuse_stray_tables(spec, draft, joined, named, reading)
    return draft


def _label(
    rows: pd.DataFrame, joined: Joined, layout: Layout | None, folders: Folders, names: pd.Series, reading: Reading
) -> Choice | None:
    if reading.label == "none":
        return None
    if reading.label.startswith("folder"):
        assert folders.labels is not None
        return Choice(folders.labels, folders.told)
    found = find_label(rows, joined.columns, layout, reading.label)
    if found is None:
        by_folder = read_folders(names, "", "none", want_labels=True)
        if by_folder.labels is not None:
            found = Choice(by_folder.labels, f"{by_folder.told}; no column of the table tells one")
            found.lost = dict.fromkeys(
                by_folder.loose, "beside the class folders: move it into the folder of its class"
            )
    return found


def _take(draft: Draft, label: Choice | None, group: Choice | None, split: Choice | None) -> None:
    """Labels, groups and splits, with what is said of each."""
    index = draft.files.index
    if label is not None:
        draft.labels, draft.lost = one_spelling(label.values.reindex(index)), dict(label.lost)
        draft.warnings += label.warnings + checked_classes(draft.labels)
    if group is not None:
        draft.groups = group.values.reindex(index)
    if split is not None:
        draft.splits = split.values.reindex(index)
    draft.choices.append(("label", label.told if label else "none: the images are read without labels"))
    draft.choices.append(("group", group.told if group else "none is named: each image its own, but for near copies"))
    draft.choices.append(("split", split.told if split else "drawn: none is given"))


def _from_folders(spec: str, pictures: Pictures, reading: Reading) -> Draft:
    names = pd.Series(pictures.names, dtype=object)
    draft = _bare(spec, pictures, pd.Series(range(len(names))))
    for parameter in ("label", "group", "split"):
        asked = getattr(reading, parameter)
        if asked and asked != "none" and not asked.startswith("folder"):
            raise UserError(
                f"{parameter}={asked}: no table names the images of {spec}, so that there are no columns: give "
                f"{parameter}=folder, {parameter}=none or a table"
            )
    folders = read_folders(names, reading.label, reading.group, want_labels=True)
    label = None
    if folders.labels is not None:
        draft.kind = "folders"
        label = Choice(folders.labels, f"{folders.told} ({folders.labels[folders.labels != ''].nunique():,})")
        reason = "beside the class folders: move it into the folder of its class"
        label.lost = dict.fromkeys(folders.loose, reason)
    group = (
        None
        if folders.groups is None
        else Choice(folders.groups.where(folders.groups == "", _within(folders)), folders.groups_told)
    )
    _take(draft, label, group, find_split(None, names, reading.split))
    if label is None and folders.told:
        draft.choices = [("label", folders.told) if what == "label" else (what, told) for what, told in draft.choices]
        if any("/" in name for name in pictures.names) and reading.label != "none":
            draft.warnings.append(f"read without labels: {folders.told}")
    return draft


def _within(folders: Folders) -> pd.Series:
    """Group names that hold inside a class alone: `1` of one class is not `1` of another, `patient 7` is."""
    assert folders.groups is not None
    if folders.labels is None or folders.groups_told != "the folders inside each class":
        return folders.groups
    return folders.labels + "/" + folders.groups


def _refuse_ignored_tables(
    spec: str, draft: Draft, tables: Sequence[Table], unreadable: dict[str, str], reading: Reading
) -> None:
    """Tables that should have told the labels and do not: better refused than read without them."""
    if (draft.labels != "").any() or reading.label == "none":
        return
    if unreadable:
        name, reason = next(iter(unreadable.items()))
        raise UserError(f"data={spec}: {name}: {reason}; mend it, or give label=none to read the images without labels")
    wide = [table for table in tables if len(table.frame.columns) > 1 and len(table.frame)]
    if wide:
        columns = ", ".join(wide[0].frame.columns[:20])
        raise UserError(
            f"data={spec}: {wide[0].name} names none of the images (columns: {columns}): put the images it names below "
            "this folder, say image=COLUMN, or give label=none to read the images without labels"
        )


def _refuse_stray_tables(spec: str, draft: Draft, joined: Joined, named: int, reading: Reading) -> None:
    """A table of a few of many images, beside folders that may be classes: one of them is not what it seems."""
    names = draft.pictures.names
    if reading.label or reading.image or named >= COVERED * len(names):
        return
    try:
        classes = read_folders(pd.Series(names, dtype=object), "", "none", want_labels=True).labels
    except UserError:  # two levels may be classes
        classes = draft.labels
    if classes is not None:
        raise UserError(
            f"data={spec}: {joined.used[0]} names {named:,} of {len(names):,} images, and the folders look "
            "like classes: say which is meant with label=COLUMN or label=folder"
        )
    draft.warnings.append(
        f"{joined.used[0]} names {named:,} of {len(names):,} images: the others are left out (label=none takes all)"
    )


def _mask_column(draft: Draft, rows: pd.DataFrame) -> None:
    """A column of mask files: relative to the collection."""
    for column in rows.columns:
        if plain(column) in MASK_COLUMNS:
            given = rows[column][rows[column] != ""]
            draft.masks = dict(zip(given.index.tolist(), given, strict=True))
            draft.choices.append(("masks", f"column {column}: {len(given):,}"))
            return


def _one_row_an_image(draft: Draft) -> None:
    """Rows that name an image again: one of them where they agree, none where their labels differ."""
    again = draft.files.duplicated(keep=False)
    if not again.any():
        return
    labels = draft.labels[again].groupby(draft.files[again]).transform("nunique")
    for row in labels.index[labels > 1]:
        draft.lost[int(row)] = "the table has other labels for it in other rows: keep the right one"
    extra = draft.files.duplicated()
    for row in draft.files.index[extra]:
        draft.lost.setdefault(int(row), "")  # the same again: no fault


def _say_tables(draft: Draft, joined: Joined | None, tables: Sequence[Table], unreadable: dict[str, str]) -> None:
    told = {table.name: table.told for table in tables}
    if joined:
        used = ", ".join(f"{name} ({told.get(name, '')})" for name in dict.fromkeys(joined.used))
        draft.choices.insert(0, ("tables", used))
    left = [name for name in told if not joined or name not in joined.used]
    no_tables = [name for name in draft.pictures.tables if printable(name) not in told and suffix(name) not in TABLES]
    texts = [*no_tables, *(name for name in left if suffix(name) not in TABLES)]
    draft.refused += [
        (printable(name), f"not an image: {suffix(name) or 'no'} suffix") for name in texts if not is_document(name)
    ]
    left = [name for name in left if suffix(name) in TABLES]
    if left:
        draft.choices.append(("tables left alone", f"{', '.join(left[:10])}: they name none of the images"))
    draft.warnings += [f"{name} is no table that can be read: {reason}" for name, reason in unreadable.items()]


def _source(draft: Draft, reading: Reading) -> Source:
    """The rows as records: classes renamed, lost rows refused by name."""
    pictures = draft.pictures
    ids = np.array(pictures.ids(), dtype=object)
    image_ids = pd.Series(ids[draft.files.to_numpy(dtype=np.int64)], index=draft.files.index)
    if reading.classes:
        draft.labels, dropped, told = apply_class_map(draft.labels, read_class_map(reading.classes), reading.classes)
        draft.choices.append(("classes", told))
        for row in dropped.index[dropped]:
            draft.lost.setdefault(int(row), f"its class is dropped by {reading.classes}")
    draft.refused += [(image_ids[row], reason) for row, reason in draft.lost.items() if reason]
    kept = ~draft.files.index.isin(list(draft.lost))
    records = pd.DataFrame(
        {"image_id": image_ids, "label": draft.labels, "group": draft.groups, "split": draft.splits}, dtype=object
    )[kept].reset_index(drop=True)
    if records.empty:
        reasons = sorted({reason for reason in draft.lost.values() if reason}) or ["no image is named"]
        raise UserError(f"data={draft.where}: none of the images can be used: {reasons[0]}")
    masks = {image_ids[row]: pictures.root / name for row, name in draft.masks.items() if row in image_ids.index}
    for image_id, position in zip(image_ids, draft.files, strict=True):
        if (name := pictures.masks.get(pictures.names[position])) is not None:
            masks.setdefault(image_id, pictures.root / name)
    if pictures.masks:
        draft.choices.append(("masks", f"{len(pictures.masks):,} told apart from the photographs by their names"))
    draft.choices += [("set aside", f"{count:,} {what}") for what, count in pictures.aside.items()]
    metadata = None
    if draft.metadata is not None and len(draft.metadata.columns):
        metadata = draft.metadata[kept].set_index(pd.Index(records["image_id"]))
    return Source(
        draft.kind,
        draft.where,
        records.astype(str),
        pictures.reader(),
        refused=(*pictures.refused, *draft.refused),
        clinical=metadata,
        mask=mask_reader(masks),
        choices=tuple(draft.choices),
        warnings=tuple(draft.warnings),
        pairs=tuple((str(ids[i]), str(ids[j])) for i, j in draft.pairs),
    )
