"""A data set ready for use: decoded, checked, split and fingerprinted."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np
import pandas as pd

from derm_ml.data.cache import Cache, open_cache
from derm_ml.data.checks import DataReport, distinct, without_leaks
from derm_ml.data.duplicates import join_groups
from derm_ml.data.source import Reading, Source
from derm_ml.data.sources import open_source
from derm_ml.data.splits import split_by_group, split_identity
from derm_ml.errors import UserError


@dataclass(frozen=True)
class ImageDataset:
    """Images and their table, row for row, in the order of content (not of files).

    Attributes:
        images: uint8 [n, s, s, 3], memory-mapped, read-only.
        table: image_id, content, label, code (-1: unlabelled), group (a content key), split.
        fingerprint: hex SHA-256 over every image's content, label and group.
    """

    kind: str
    location: str
    image_size: int
    classes: tuple[str, ...]
    images: np.ndarray
    table: pd.DataFrame
    report: DataReport
    fingerprint: str
    split_id: str
    source: Source | None = None  # where the images were read: for what is known beside images and labels

    def rows(self, split: str, *, labelled: bool = False) -> np.ndarray:
        """Row numbers of a split, int64, ascending."""
        chosen = self.table["split"] == split
        return np.flatnonzero(chosen & (self.table["code"] >= 0) if labelled else chosen)

    @property
    def labelled(self) -> bool:
        """Whether a probe can be trained and judged: two classes at least, and labels in training and in validation."""
        return len(self.classes) > 1 and all(len(self.rows(split, labelled=True)) for split in ("train", "val"))

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Class codes of rows, int64."""
        return np.asarray(self.table["code"].to_numpy()[rows])

    def groups(self, rows: np.ndarray) -> np.ndarray:
        """Group keys of rows."""
        return np.asarray(self.table["group"].to_numpy()[rows])

    @property
    def counts(self) -> dict[str, int]:
        """Images a split."""
        return {split: int((self.table["split"] == split).sum()) for split in ("train", "val", "test")}


def prepare(
    spec: str,
    image_size: int,
    split_seed: int | None,
    *,
    reading: Reading | None = None,
    labelled: bool = True,
    parameter: str = "data",
) -> ImageDataset:
    """Open, check, decode (or find decoded), split; without a split seed all images are test images.

    Args:
        reading: what the user settles of the reading: columns, classes.
        labelled: False: no label is read, and none is needed.
        parameter: what the user gave it as: what an error names.

    Raises:
        UserError: the data cannot be used; the message says what and what to do.
    """
    try:
        return _prepared(open_source(spec, reading, labelled=labelled), image_size, split_seed)
    except UserError as error:
        raise UserError(re.sub("^data=", f"{parameter}=", str(error))) from error


def _prepared(source: Source, image_size: int, split_seed: int | None) -> ImageDataset:
    cache = open_cache(source, image_size)
    report = DataReport(refused=[*cache.refused, *source.refused], mended=cache.mended)
    report.choices += source.choices
    report.warnings += source.warnings
    # an accent may be a character of its own or not: the same name, whoever typed it
    named = source.records["label"].map({name: normalize("NFC", name) for name in set(source.records["label"])})
    table = without_leaks(distinct(source.records.assign(label=named), cache, report), cache.near, report)
    if table.empty:
        reasons = Counter(reason.split("(")[0].strip() for _, reason in report.refused).most_common(1)
        raise UserError(
            f"data={source.location}: none of the images can be used: {reasons[0][0] if reasons else 'none'}"
        )
    return _assemble(source, table, cache, report, image_size, split_seed)


def _assemble(
    source: Source, table: pd.DataFrame, cache: Cache, report: DataReport, size: int, split_seed: int | None
) -> ImageDataset:
    rows = {content: row for row, content in enumerate(table["content"])}
    pairs = [(rows[a], rows[b]) for a, b in cache.near if a in rows and b in rows]
    report.near_duplicates = [(table["image_id"][i], table["image_id"][j]) for i, j in pairs]
    joined = pd.Series(join_groups(table["group"], pairs))
    table["group"] = table["content"].groupby(joined).transform("min").str[:16]
    table["split"] = "test" if split_seed is None else split_by_group(table, split_seed)
    classes = tuple(sorted(set(table["label"]) - {""}))
    table["code"] = table["label"].map({name: code for code, name in enumerate(classes)}).fillna(-1).astype(np.int64)
    lines = "\n".join(f"{r.content} {r.label} {r.group}" for r in table.itertuples())
    positions, images = table["content"].map(cache.rows).to_numpy(), cache.images
    if len(table) != len(images) or (positions != np.arange(len(table))).any():
        images = _Rows(images, positions)  # type: ignore[assignment]
    return ImageDataset(
        kind=source.kind,
        location=source.location,
        image_size=size,
        classes=classes,
        images=images,
        table=table,
        report=report,
        fingerprint=hashlib.sha256(lines.encode()).hexdigest(),
        split_id=split_identity(table),
        source=source,
    )


class _Rows:
    """A view of some rows of the cache: indexing picks from the memory map, nothing is copied before."""

    def __init__(self, images: np.ndarray, positions: np.ndarray) -> None:
        self._images, self._positions = images, positions
        self.shape = (len(positions), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._images[self._positions[rows]])


def describe(dataset: ImageDataset) -> str:
    """What `derm-ml data check` prints: what was found, the class table, every refused image with its reason."""
    table = dataset.table
    lines = [
        f"{dataset.kind}: {dataset.location}",
        f"{len(table):,} images in {table['group'].nunique():,} groups, {len(dataset.classes)} classes; "
        f"fingerprint {dataset.fingerprint[:16]}, split {dataset.split_id[:16]}",
        "",
    ]
    counts = pd.crosstab(table["label"].replace("", "(unlabelled)"), table["split"])
    counts = counts.reindex(columns=["train", "val", "test"], fill_value=0)
    counts["images"] = counts.sum(axis=1)
    counts["groups"] = table.groupby(table["label"].replace("", "(unlabelled)"))["group"].nunique()
    lines += [counts.rename_axis(index="class", columns=None).to_string(), ""]
    report = dataset.report
    lines += [f"mended: {count:,} x {rule}" for rule, count in Counter(rule for _, rule in report.mended).items()]
    lines.append(f"near-identical pairs kept together in one split: {len(report.near_duplicates):,}")
    lines.append(f"refused: {len(report.refused):,}")
    lines += [f"  {image_id}: {reason}" for image_id, reason in sorted(report.refused)]
    return "\n".join(lines)
