"""A data set ready for use: decoded, checked, split and fingerprinted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm_ml.data.cache import Cache, open_cache
from derm_ml.data.checks import DataReport, distinct, rows_of, without_leaks
from derm_ml.data.description import class_table, report_lines
from derm_ml.data.given import lacking, settled, unjudged, without_challenge_images
from derm_ml.data.groups import doubts, join_groups
from derm_ml.data.source import Reading, Source
from derm_ml.data.sources import open_source
from derm_ml.data.splits import digest_of_rows
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
    descriptors: np.ndarray | None = None  # uint8 [n, d], memory-mapped: what near duplicates are looked for by
    sizes: np.ndarray | None = None  # int32 [n, 2], width and height of the originals, px

    def rows(self, split: str, *, labelled: bool = False) -> np.ndarray:
        """Row numbers of a split, int64, ascending."""
        chosen = self.table["split"] == split
        return np.flatnonzero(chosen & (self.table["code"] >= 0) if labelled else chosen)

    @property
    def labelled(self) -> bool:
        """Whether a probe can be trained and judged: two classes at least, and labels in training and in validation."""
        return len(self.classes) > 1 and all(len(self.rows(split, labelled=True)) for split in ("train", "val"))

    def averaged_over(self, split: str) -> str:
        """Of how many classes a split has images: what averages over classes are over."""
        return f"{len(np.unique(self.codes(self.rows(split, labelled=True))))} of {len(self.classes)} classes"

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
        said = re.sub("^data=", f"{parameter}=", str(error))
        if parameter == "external":  # its label has a parameter of its own
            said = re.sub(r"(^|-P )label=", r"\1external_label=", said).replace("--label ", "--external-label ")
        raise UserError(said) from error


def _prepared(source: Source, image_size: int, split_seed: int | None) -> ImageDataset:
    return assemble(source, open_cache(source, image_size), image_size, split_seed)


def assemble(source: Source, cache: Cache, image_size: int, split_seed: int | None) -> ImageDataset:
    """Check and split what was decoded.

    Raises:
        UserError: nothing is left, or what is left cannot be split.
    """
    report = DataReport(refused=[*cache.refused, *source.refused], mended=cache.mended, flagged=cache.flagged)
    report.choices += source.choices
    report.warnings += source.warnings
    # Where all are test images, without a split seed, given splits play no part.
    records, mute = (source.records, []) if split_seed is None else without_challenge_images(source.records)
    table = distinct(records, cache, report)
    report.refused += mute
    named = [(cache.digests.get(a, ""), cache.digests.get(b, "")) for a, b in source.pairs]
    table = without_leaks(table, [*cache.near, *named], report)
    if table.empty:
        reasons = Counter(reason.split("(")[0].strip() for _, reason in report.refused).most_common(1)
        raise UserError(
            f"data={source.location}: none of the images can be used: {reasons[0][0] if reasons else 'none'}"
        )
    return _dataset(source, table, named, cache, report, image_size, split_seed)


def _dataset(
    source: Source,
    table: pd.DataFrame,
    named: list[tuple[str, str]],
    cache: Cache,
    report: DataReport,
    size: int,
    split_seed: int | None,
) -> ImageDataset:
    near, same = rows_of(table["content"], cache.near), rows_of(table["content"], named)
    report.near_duplicates, report.named_pairs = _names(table, near), _names(table, same)
    report.warnings += _torn(table, near)
    joined = join_groups(table["group"], np.concatenate([near, same]))
    joined, _ = pd.factorize(joined)  # in the order of their first rows
    first = np.flatnonzero(~pd.Series(joined).duplicated())
    report.warnings += doubts(source.records["group"], joined)
    # Rows are in the order of content: a group's first has its smallest digest.
    table["group"] = table["content"].str[:16].iloc[first[joined]].array
    table["split"] = "test" if split_seed is None else settled(table, split_seed, report.warnings)
    classes = tuple(sorted(set(table["label"].unique()) - {""}))
    table["code"] = pd.Index(classes, dtype="str").get_indexer(table["label"]).astype(np.int64)  # -1: unlabelled
    if split_seed is not None:
        report.warnings += [*lacking(table, classes), *unjudged(table)]
    positions = table.pop("row").to_numpy()
    return ImageDataset(
        kind=source.kind,
        location=source.location,
        image_size=size,
        classes=classes,
        images=_Rows(cache.images, positions),  # type: ignore[arg-type]
        descriptors=_Rows(cache.descriptors, positions),  # type: ignore[arg-type]
        table=table,
        report=report,
        fingerprint=digest_of_rows(table, ["content", "label", "group"]),
        split_id=digest_of_rows(table, ["content", "split"]),  # `split_identity`, of rows in the order of content
        source=source,
        sizes=cache.sizes[positions] if len(cache.sizes) else None,
    )


def _torn(table: pd.DataFrame, near: np.ndarray) -> list[str]:
    """A warning about nearly identical images with different labels."""
    labels = table["label"].to_numpy(dtype=object)
    first, second = labels[near[:, 0]], labels[near[:, 1]]
    torn = near[(first != second) & (first != "") & (second != "")]
    if not len(torn):
        return []
    names = table["image_id"]
    shown = "; ".join(f"{names[i]} ({labels[i]}) and {names[j]} ({labels[j]})" for i, j in torn[:3].tolist())
    one = "pair of nearly identical images has" if len(torn) == 1 else "pairs of nearly identical images have"
    return [f"{len(torn):,} {one} different labels, and one of each is likely wrong: {shown}"]


def _names(table: pd.DataFrame, pairs: np.ndarray) -> list[tuple[str, str]]:
    names = table["image_id"]
    return [(str(names[i]), str(names[j])) for i, j in pairs.tolist()]


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
    """What `derm-ml data check` prints: what was found, as what it was read, what to know of it, what was left out."""
    table, report = dataset.table, dataset.report
    lines = [
        f"{dataset.kind}: {dataset.location}",
        f"{len(table):,} images in {table['group'].nunique():,} groups, {len(dataset.classes)} classes; "
        f"fingerprint {dataset.fingerprint[:16]}, split {dataset.split_id[:16]}",
        "",
        class_table(table),
        "",
        *report_lines(report),
    ]
    return "\n".join(lines)
