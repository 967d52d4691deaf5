"""Images decoded once: a memory-mapped uint8 cache keyed by content and size, shared by runs and processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derm_ml.data.decoding import RefusedImage, decode, decode_whole
from derm_ml.data.duplicates import WHOLE, describe_picture, near_pairs
from derm_ml.data.source import Source
from derm_ml.progress import progress

CACHE_FORMAT = 3  # raise it when decoding or scaling changes: old caches are then made anew
Decoded = tuple[np.ndarray, list[str], np.ndarray]


@dataclass(frozen=True)
class Cache:
    """Decoded images and what decoding found.

    Attributes:
        images: uint8 [n, s, s, 3], memory-mapped, one a distinct content, in the order of content.
        rows: content digest to its row. digests: image_id to content digest, '' for a file that cannot be read.
        refused, mended: (image_id, reason or rule). near: pairs of contents that are nearly identical.
    """

    images: np.ndarray
    rows: dict[str, int]
    digests: dict[str, str]
    refused: list[tuple[str, str]]
    mended: list[tuple[str, str]]
    near: list[tuple[str, str]]


def open_cache(source: Source, image_size: int) -> Cache:
    """The decoded images of a source: found by the content of its files, or made now."""
    digests = _digests(source)
    key = hashlib.sha256(repr((CACHE_FORMAT, image_size, sorted(digests.items()))).encode()).hexdigest()
    folder = cache_root() / "images" / f"{source.kind}-{image_size}px-{key[:32]}"
    if not (folder / "report.json").is_file():
        _decode_all(source, digests, image_size, folder)
    kept = json.loads((folder / "report.json").read_text())
    pairs = {name: [(str(a), str(b)) for a, b in kept[name]] for name in ("refused", "mended", "near")}
    return Cache(np.load(folder / "images.npy", mmap_mode="r"), kept["rows"], digests, **pairs)


def cache_root() -> Path:
    """Where decoded images are kept: DERM_ML_CACHE, else derm_ml in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("DERM_ML_CACHE") or Path(base) / "derm_ml")


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
            return pixels, rules, describe_picture(decode_whole(content, WHOLE))
        except RefusedImage as refusal:
            return refusal

    with ThreadPoolExecutor(_workers()) as pool, progress("Decoding", len(order)) as bar:
        for start in range(0, len(order), 1024):  # in blocks: memory does not grow with the data
            block = order[start : start + 1024]
            for image_id, picture in zip(block, pool.map(one, block), strict=True):
                bar.advance()
                yield image_id, picture
