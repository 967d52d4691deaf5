"""What is said of a container's images, and what the user may settle of it."""

from __future__ import annotations

from dataclasses import replace

from derm_ml.data.collections.choice import quoted
from derm_ml.data.collections.classes import apply_class_map, read_class_map
from derm_ml.data.source import Reading, Source
from derm_ml.errors import UserError

NONE = {
    "label": "none: the images are read without labels",
    "group": "none is named: each image its own, but for near copies",
    "split": "drawn: none is given",
}


def as_asked(source: Source, reading: Reading, **origins: str) -> Source:
    """The source with what the user settled, and a line on its labels, groups and splits.

    Args:
        origins: label, group, split: where those that are there come from.

    Raises:
        UserError: a column or folder is asked for, where there is neither; a class map that does not fit.
    """
    for what in ("label", "group", "split", "image"):
        asked = getattr(reading, what)
        if asked not in ("", "none") or (what == "image" and asked):
            raise UserError(
                f"{what}={asked}: {source.location} has neither columns nor folders to choose: leave it out"
            )
    records, refused, choices = source.records, source.refused, list(source.choices)
    cleared = {what: "" for what in NONE if getattr(reading, what) == "none"}
    records = records.assign(**cleared) if cleared else records
    for what, none in NONE.items():
        told = f"{origins.get(what, 'of the file')} ({quoted(records[what])})"
        choices.append((what, told if (records[what] != "").any() else none + ", as you said" * (what in cleared)))
    if reading.classes:
        labels, dropped, told = apply_class_map(records["label"], read_class_map(reading.classes), reading.classes)
        gone = [(name, f"its class is dropped by {reading.classes}") for name in records["image_id"][dropped]]
        records = records.assign(label=labels)[~dropped].reset_index(drop=True)
        refused, choices = (*refused, *gone), [*choices, ("classes", told)]
    return replace(source, records=records, refused=refused, choices=tuple(choices))
