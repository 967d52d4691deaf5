"""Tables that do not tell what they seem to: said, or refused where the images would be read without their labels."""

from __future__ import annotations

from collections.abc import Sequence

from derm_ml.data.collections.draft import Draft
from derm_ml.data.collections.folders import read_folders
from derm_ml.data.collections.joining import Joined
from derm_ml.data.collections.listing import SHEETS, TABLES, is_document, suffix
from derm_ml.data.collections.matching import SEVERAL, FileIndex
from derm_ml.data.collections.tables import Table
from derm_ml.data.source import Reading
from derm_ml.errors import UserError, give, printable

WITHOUT_LABELS = f"read the images without labels with {give('label=none')}"
COVERED = 0.5  # of the photographs that tables must name to be the collection's


def refuse_ignored_tables(
    spec: str, draft: Draft, tables: Sequence[Table], unreadable: dict[str, str], reading: Reading
) -> None:
    """Tables that should have told the labels and do not: better refused than read without them."""
    if (draft.labels != "").any() or reading.label == "none":
        return
    if unreadable:
        name, reason = next(iter(unreadable.items()))
        raise UserError(f"data={spec}: {name}: {reason}; mend it, or {WITHOUT_LABELS}")
    sheets = [name for name, _ in draft.pictures.refused if suffix(name) in SHEETS]
    if sheets:
        raise UserError(
            f"data={spec}: {sheets[0]} may hold the labels, and is not read: save it as CSV, or {WITHOUT_LABELS}"
        )
    wide = [t for t in tables if len(t.frame) and (len(t.frame.columns) > 1 or suffix(t.name) in TABLES)]
    index = FileIndex(draft.pictures.names)
    for table in tables:
        if len(table.frame.columns) == 1 and len(table.frame):
            parts = table.frame.iloc[:, 0].str.partition(" ")
            if min((parts[2] != "").mean(), (index.locate(parts[0]) >= 0).mean()) >= COVERED:
                raise UserError(
                    f"data={spec}: {table.name} names images and something after a blank: save it with commas, or "
                    f"{WITHOUT_LABELS}"
                )
    for table in wide:
        for column in table.frame.columns:
            several = index.locate(table.frame[column]) == SEVERAL
            if several.mean() >= COVERED:
                raise UserError(
                    f"data={spec}: {table.name}: several files have each name in {column}: "
                    "write their paths into it, or move the ones that are not meant away"
                )
    if wide:
        columns = ", ".join(wide[0].frame.columns[:20])
        raise UserError(
            f"data={spec}: {wide[0].name} names none of the images (columns: {columns}): put the images it names below "
            f"this folder, or say with {give('image=COLUMN')} which column they are numbered by, or {WITHOUT_LABELS}"
        )


def refuse_stray_tables(spec: str, draft: Draft, joined: Joined, named: int, reading: Reading) -> None:
    """A table of a few of many images, beside folders that may be classes: one of them is not what it seems."""
    names = draft.pictures.names
    if reading.label or reading.image or named >= COVERED * len(names):
        return
    if len(joined.missing) > named:
        raise UserError(
            f"data={spec}: {joined.used[0]} and the images hardly meet: {named:,} of {len(names):,} images have a row, "
            f"and {len(joined.missing):,} rows no image, by {', '.join(joined.columns)}: say which column names images "
            f"with {give('image=COLUMN')}, or {WITHOUT_LABELS}"
        )
    try:
        classes = read_folders(draft.pictures.folders, "", "none", want_labels=True).labels
    except UserError:  # two levels may be classes
        classes = draft.labels
    if classes is not None:
        raise UserError(
            f"data={spec}: {joined.used[0]} names {named:,} of {len(names):,} images, and the folders look "
            "like classes: say which is meant with " + give("label=COLUMN", "label=folder")
        )
    draft.warnings.append(
        f"{joined.used[0]} names {named:,} of {len(names):,} images: the others are left out; all are taken with "
        + give("label=none")
    )


def say_tables(draft: Draft, joined: Joined | None, tables: Sequence[Table], unreadable: dict[str, str]) -> None:
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
        draft.choices.append(("tables left alone", f"{', '.join(left[:10])}: they tell nothing of the images"))
    odd = sorted(label for label in draft.labels.unique() if not label.isascii())
    if odd and any("Latin-1" in told[name] for name in told if joined and name in joined.used):
        draft.warnings.append(
            f"a table is not UTF-8 and was read as Latin-1: look at the classes {', '.join(map(repr, odd[:4]))}; "
            "where they are wrong, save the table as UTF-8"
        )
    draft.warnings += [f"{name} is no table that can be read: {reason}" for name, reason in unreadable.items()]
