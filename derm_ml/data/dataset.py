"""A data set ready for use: decoded once into a memory-mapped cache, checked, split and fingerprinted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from derm_ml.data.decoding import RefusedImage, decode
from derm_ml.data.duplicates import join_groups, near_pairs, thumbnails
from derm_ml.data.sources import Source, open_source
from derm_ml.data.splits import split_by_group, split_identity
from derm_ml.errors import UserError
from derm_ml.progress import progress

COMPARED_AT = 64  # px, at which near duplicates are looked for, whatever size is trained on
Decoded = tuple[np.ndarray, list[str], np.ndarray]
CACHE_FORMAT = 2  # raise it when decoding or scaling changes: old caches are then made anew


@dataclass
class DataReport:
    """What was refused, mended or joined, and why."""

    refused: list[tuple[str, str]] = field(default_factory=list)
    mended: list[tuple[str, str]] = field(default_factory=list)
    near_duplicates: list[tuple[str, str]] = field(default_factory=list)


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

    def rows(self, split: str, *, labelled: bool = False) -> np.ndarray:
        """Row numbers of a split, int64, ascending."""
        chosen = self.table["split"] == split
        return np.flatnonzero(chosen & (self.table["code"] >= 0) if labelled else chosen)

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


def cache_root() -> Path:
    """Where decoded images are kept: DERM_ML_CACHE, else derm_ml in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("DERM_ML_CACHE") or Path(base) / "derm_ml")


def prepare(spec: str, image_size: int, split_seed: int) -> ImageDataset:
    """Open, check, decode (or find decoded), split.

    Raises:
        UserError: the data cannot be used; the message says what and what to do.
    """
    source = open_source(spec)
    digests = _digests(source)
    key = hashlib.sha256(repr((CACHE_FORMAT, image_size, sorted(digests.items()))).encode()).hexdigest()
    folder = cache_root() / "images" / f"{source.kind}-{image_size}px-{key[:32]}"
    if not (folder / "report.json").is_file():
        _decode_all(source, digests, image_size, folder)
    kept = json.loads((folder / "report.json").read_text())
    decoded: dict[str, int] = kept["rows"]
    report = DataReport([(a, b) for a, b in kept["refused"]], [(a, b) for a, b in kept["mended"]])
    report.refused += source.refused
    table = _usable(source.records, digests, decoded, report)
    images = np.load(folder / "images.npy", mmap_mode="r")
    near = [(decoded[a], decoded[b]) for a, b in kept["near"] if a in decoded and b in decoded]
    return _assemble(source, table, images, decoded, near, report, image_size, split_seed)


def _digests(source: Source) -> dict[str, str]:
    """image_id to the SHA-256 of its content; a file that cannot be read has the digest ''."""

    def digest(image_id: str) -> str:
        try:
            content = source.read(image_id)
        except OSError:
            return ""
        return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).hexdigest()

    ids = source.records["image_id"].tolist()
    with ThreadPoolExecutor(_workers()) as pool:
        return dict(zip(ids, pool.map(digest, ids, chunksize=64), strict=True))


def _workers() -> int:
    return min(16, os.cpu_count() or 1)


def _decode_all(source: Source, digests: dict[str, str], size: int, folder: Path) -> None:
    """Decode every distinct image into a new cache folder; a rename makes it visible, whole or not at all."""
    first = {digest: image_id for image_id, digest in sorted(digests.items(), reverse=True) if digest}
    order = [first[digest] for digest in sorted(first)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        refused = [
            (image_id, "cannot be read: no such file, or no permission") for image_id, d in digests.items() if not d
        ]
        mended: list[tuple[str, str]] = []
        rows: dict[str, int] = {}
        thumbs = []
        shape = (max(1, len(order)), size, size, 3)
        images = np.lib.format.open_memmap(building / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        for image_id, picture in _decoded(source, order, size):
            if isinstance(picture, RefusedImage):
                refused.append((image_id, str(picture)))
                continue
            pixels, rules, thumb = picture
            mended += [(image_id, rule) for rule in rules]
            images[len(rows)] = pixels
            thumbs.append(thumb)
            rows[digests[image_id]] = len(rows)
        images.flush()
        by_row = list(rows)
        near = [(by_row[i], by_row[j]) for i, j in near_pairs(np.stack(thumbs))] if thumbs else []
        kept = {"refused": refused, "mended": mended, "rows": rows, "near": near}
        (building / "report.json").write_text(json.dumps(kept))
        try:
            building.rename(folder)
        except OSError:  # another process was first; its cache has the same content
            if not (folder / "report.json").is_file():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _decoded(source: Source, order: list[str], size: int) -> Iterator[tuple[str, Decoded | RefusedImage]]:
    def one(image_id: str) -> Decoded | RefusedImage:
        try:
            content = source.read(image_id)
            pixels, rules = decode(content, size)
            # Near duplicates join groups: they must not depend on the size that is trained on.
            same = pixels if size == COMPARED_AT else decode(content, COMPARED_AT)[0]
            return pixels, rules, thumbnails(same[None])[0]
        except RefusedImage as refusal:
            return refusal

    with ThreadPoolExecutor(_workers()) as pool, progress("Decoding", len(order)) as bar:
        for start in range(0, len(order), 1024):  # in blocks: memory does not grow with the data
            block = order[start : start + 1024]
            for image_id, picture in zip(block, pool.map(one, block), strict=True):
                bar.advance()
                yield image_id, picture


def _usable(
    records: pd.DataFrame, digests: dict[str, str], decoded: dict[str, int], report: DataReport
) -> pd.DataFrame:
    """The rows to keep, one a distinct image; copies are refused, all of them where their labels disagree."""
    table = records.assign(content=records["image_id"].map(digests))
    bad = dict(report.refused)
    same_as_bad = {digests[image_id] for image_id in bad if digests.get(image_id)}
    for row in table[table["content"].isin(same_as_bad) & ~table["image_id"].isin(bad)].itertuples():
        report.refused.append((str(row.image_id), "a copy of a refused image"))
    table = table[table["content"].isin(decoded)].sort_values(["content", "image_id"], ignore_index=True)
    labels = table.groupby("content")["label"].transform("nunique")
    for row in table[labels > 1].itertuples():
        report.refused.append((str(row.image_id), f"the same image has other labels elsewhere (here {row.label!r})"))
    table = table[labels == 1]
    copies = table.duplicated("content")
    originals = table[~copies].set_index("content")["image_id"]
    for row in table[copies].itertuples():
        report.refused.append((str(row.image_id), f"an exact copy of {originals[str(row.content)]}"))
    return table[~copies].reset_index(drop=True)


def _assemble(
    source: Source,
    table: pd.DataFrame,
    images: np.ndarray,
    decoded: dict[str, int],
    near: list[tuple[int, int]],
    report: DataReport,
    size: int,
    split_seed: int,
) -> ImageDataset:
    if table.empty:
        reasons = Counter(reason.split("(")[0].strip() for _, reason in report.refused).most_common(1)
        raise UserError(
            f"data={source.location}: none of the images can be used: {reasons[0][0] if reasons else 'none'}"
        )
    positions = table["content"].map(decoded).to_numpy()
    place = {int(position): row for row, position in enumerate(positions)}
    pairs = [(place[i], place[j]) for i, j in near if i in place and j in place]
    report.near_duplicates = [(table["image_id"][i], table["image_id"][j]) for i, j in pairs]
    joined = pd.Series(join_groups(table["group"], pairs))
    table["group"] = table["content"].groupby(joined).transform("min").str[:16]
    table["split"] = split_by_group(table, split_seed)
    classes = tuple(sorted(set(table["label"]) - {""}))
    table["code"] = table["label"].map({name: code for code, name in enumerate(classes)}).fillna(-1).astype(np.int64)
    lines = "\n".join(f"{r.content} {r.label} {r.group}" for r in table.itertuples())
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


def report_json(report: DataReport) -> str:
    """The report as the JSON artifact of a run."""
    return json.dumps(asdict(report), indent=1)
