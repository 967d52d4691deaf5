"""A collection on its way to a source: a row an image, and what was said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from derm_ml.data.collections.choice import Choice
from derm_ml.data.collections.classes import apply_class_map, one_spelling, read_class_map
from derm_ml.data.collections.labels import checked_classes
from derm_ml.data.collections.masks import mask_reader
from derm_ml.data.collections.names import MASK_COLUMNS, plain
from derm_ml.data.collections.pictures import Pictures
from derm_ml.data.source import Reading, Source
from derm_ml.errors import UserError


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


def bare(spec: str, pictures: Pictures, files: pd.Series) -> Draft:
    empty = pd.Series("", index=files.index, dtype="str")
    return Draft(spec, pictures, files, empty, empty, empty)


def take(draft: Draft, label: Choice | None, group: Choice | None, split: Choice | None) -> None:
    """Labels, groups and splits, with what is said of each."""
    index = draft.files.index
    if label is not None:
        draft.labels, draft.lost = one_spelling(label.values.reindex(index)), dict(label.lost)
        draft.warnings += label.warnings + checked_classes(draft.labels)
    if group is not None:
        draft.groups = group.values.reindex(index)
    if split is not None:
        draft.splits = split.values.reindex(index)
        draft.warnings += split.warnings
    draft.choices.append(("label", label.told if label else "none: the images are read without labels"))
    draft.choices.append(("group", group.told if group else "none is named: each image its own, but for near copies"))
    draft.choices.append(("split", split.told if split else "drawn: none is given"))


def mask_column(draft: Draft, rows: pd.DataFrame) -> None:
    """A column of mask files: relative to the collection."""
    for column in rows.columns:
        if plain(column) in MASK_COLUMNS:
            given = rows[column][rows[column] != ""]
            draft.masks = dict(zip(given.index.tolist(), given, strict=True))
            draft.choices.append(("masks", f"column {column}: {len(given):,}"))
            return


def one_row_an_image(draft: Draft, shared: Sequence[str] = ()) -> None:
    """Rows that name an image again: one of them where they agree, none where their labels differ.

    Args:
        shared: columns that name several images in one row.
    """
    again = draft.files.duplicated(keep=False)
    if not again.any():
        return
    own, files = draft.labels[again], draft.files[again]
    torn = own.groupby(files).transform("nunique") > 1
    told = own[torn & (own != "")].groupby(files).agg(lambda labels: " and ".join(sorted(set(labels))[:3]))
    for row, file in files[torn].items():
        why = f"the table has other labels for it in other rows ({told[file]}): keep the right one"
        if shared:
            why = f"rows of one {shared[0]} have different labels ({told[file]}): name the images of each"
        draft.lost[int(row)] = why  # type: ignore[call-overload]
    extra = draft.files.duplicated()
    for row in draft.files.index[extra]:
        draft.lost.setdefault(int(row), "")  # the same again: no fault


def to_source(draft: Draft, reading: Reading) -> Source:
    """The rows as records: classes renamed, lost rows refused by name."""
    pictures = draft.pictures
    ids = pictures.ids()
    image_ids = pd.Series(pd.array(ids, dtype="str").take(draft.files.to_numpy()), index=draft.files.index)
    if reading.classes:
        draft.labels, dropped, told = apply_class_map(draft.labels, read_class_map(reading.classes), reading.classes)
        draft.choices.append(("classes", told))
        for row in dropped.index[dropped]:
            draft.lost.setdefault(int(row), f"its class is dropped by {reading.classes}")
    draft.refused += dict.fromkeys((image_ids[row], reason) for row, reason in draft.lost.items() if reason)
    kept = ~draft.files.index.isin(list(draft.lost))
    records = pd.DataFrame(
        {"image_id": image_ids, "label": draft.labels, "group": draft.groups, "split": draft.splits}, dtype="str"
    )[kept].reset_index(drop=True)
    if records.empty:
        reasons = sorted({reason for reason in draft.lost.values() if reason}) or ["no image is named"]
        raise UserError(f"data={draft.where}: none of the images can be used: {reasons[0]}")
    masks = {image_ids[row]: pictures.root / name for row, name in draft.masks.items() if row in image_ids.index}
    for image_id, position in zip(image_ids, draft.files, strict=True) if pictures.masks else ():
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
        records,
        pictures.reader(ids),
        refused=(*pictures.refused, *draft.refused),
        clinical=metadata,
        mask=mask_reader(masks),
        choices=tuple(draft.choices),
        warnings=tuple(draft.warnings),
        pairs=tuple((str(ids[i]), str(ids[j])) for i, j in draft.pairs),
        path=pictures.file_of(ids),
    )
