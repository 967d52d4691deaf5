"""What of the images can be used: copies and leaks are refused with their reason, never silently."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import pandas as pd

from derm_ml.data.cache import Cache

KEPT_FIRST = {"test": 0, "val": 1, "train": 2, "": 2}  # of copies in several given splits


@dataclass
class DataReport:
    """What was read how, and what was refused, mended, flagged or joined, and why.

    Attributes:
        choices: (what, which was taken and why) of the reading: image, label, group, split, masks ...
        refused: (image_id, reason). mended: (image_id, rule). flagged: (image_id, rule): kept, but looked at by nobody
            yet who says that it is a photograph of a lesion.
        near_duplicates: pairs of image_id.
        warnings: sentences for people about the whole collection.
    """

    choices: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    mended: list[tuple[str, str]] = field(default_factory=list)
    flagged: list[tuple[str, str]] = field(default_factory=list)
    near_duplicates: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def distinct(records: pd.DataFrame, cache: Cache, report: DataReport) -> pd.DataFrame:
    """The rows to keep, one a distinct image; copies are refused, all of them where their labels disagree.

    Of copies in several given splits the one in test stays, else the one in validation.
    """
    table = records.assign(content=records["image_id"].map(cache.digests), rank=records["split"].map(KEPT_FIRST))
    bad = dict(report.refused)
    same_as_bad = {cache.digests[image_id] for image_id in bad if cache.digests.get(image_id)}
    for row in table[table["content"].isin(same_as_bad) & ~table["image_id"].isin(bad)].itertuples():
        report.refused.append((str(row.image_id), "a copy of a refused image"))
    table = table[table["content"].isin(cache.rows)]
    table = table.sort_values(["content", "rank", "image_id"], ignore_index=True).drop(columns="rank")
    labels = table.groupby("content")["label"].transform("nunique")
    disagreeing = table[labels > 1]
    for row in disagreeing.itertuples():
        same = (disagreeing["content"] == row.content) & (disagreeing["label"] != row.label)
        other = disagreeing[same].iloc[0]
        reason = f"the same image has other labels: {row.label!r} here, {other['label']!r} in {other['image_id']}"
        report.refused.append((str(row.image_id), f"{reason}: delete the wrong one"))
    table = table[labels == 1]
    copies = table.duplicated("content")
    originals = table[~copies].set_index("content")["image_id"]
    for row in table[copies].itertuples():
        report.refused.append((str(row.image_id), f"an exact copy of {originals[str(row.content)]}"))
    return table[~copies].reset_index(drop=True)


def without_leaks(table: pd.DataFrame, near: list[tuple[str, str]], report: DataReport) -> pd.DataFrame:
    """Given splits without near copies across them: training gives way to validation, both to test."""
    if not (table["split"] != "").any():
        return table
    rows = {content: row for row, content in enumerate(table["content"])}
    rank = table["split"].map(KEPT_FIRST).to_numpy()
    names, splits = table["image_id"], table["split"]
    dropped: dict[int, str] = {}
    for first, second in near:
        if first in rows and second in rows and rank[rows[first]] != rank[rows[second]]:
            kept, copy = sorted((rows[first], rows[second]), key=lambda row: int(rank[row]))
            dropped[copy] = f"nearly identical to {names[kept]}, which is in {splits[kept]}"
    report.refused += [(str(names[row]), reason) for row, reason in sorted(dropped.items())]
    return table.drop(index=list(dropped)).reset_index(drop=True)


def report_json(report: DataReport) -> str:
    """The report as the JSON artifact of a run."""
    return json.dumps(asdict(report), indent=1)
