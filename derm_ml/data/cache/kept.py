"""What a cache folder holds, written and read back as columns; a folder that is damaged is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

REPORT, IMAGES, CONTENTS, SIZES = "report.json", "images.npy", "contents.npy", "sizes.npy"
DESCRIPTORS, NEAR, FAULTS = "descriptors.npy", "near.npy", "faults.parquet"
KINDS = ("refused", "mended", "flagged")
Fault = tuple[str, str, str]  # content digest, one of KINDS, reason or rule


class DamagedCache(ValueError):
    """The folder is no whole cache; the message says why."""


@dataclass(frozen=True)
class Cache:
    """Decoded images and what decoding found.

    Attributes:
        images: uint8 [n, s, s, 3], memory-mapped, one a distinct content.
        rows: content digest to its row. digests: image_id to content digest, '' for a file that cannot be read.
        refused, mended, flagged: (image_id, reason or rule). near: pairs of contents that are nearly identical.
        sizes: int32 [n, 2], each picture's width and height before scaling, in px.
        descriptors: [n, ...] by row, memory-mapped: what near duplicates are looked for by.
    """

    images: np.ndarray
    rows: dict[str, int]
    digests: dict[str, str]
    refused: list[tuple[str, str]]
    mended: list[tuple[str, str]]
    near: list[tuple[str, str]]
    flagged: list[tuple[str, str]] = field(default_factory=list)
    sizes: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int32))
    descriptors: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.uint8))


def to_bytes(digests: list[str]) -> np.ndarray:
    """Hex digests as uint8 [n, 32]."""
    return np.frombuffer(bytes.fromhex("".join(digests)), dtype=np.uint8).reshape(-1, 32)


def to_hex(digests: np.ndarray) -> list[str]:
    """The digests of uint8 [n, 32] in hex."""
    text = digests.tobytes().hex()
    return [text[start : start + 64] for start in range(0, len(text), 64)]


def save(building: Path, rows: list[str], faults: list[Fault], near: list[tuple[int, int]]) -> None:
    """Write everything but the arrays by row, which are there by now; the report comes last.

    Args:
        rows: the content digest of each row. near: pairs of rows.
    """
    refused = sorted({digest for digest, kind, _ in faults if kind == "refused"})
    np.save(building / CONTENTS, to_bytes(rows + refused))
    np.save(building / NEAR, np.array(near, dtype=np.int64).reshape(-1, 2))
    pd.DataFrame(faults, columns=["content", "kind", "text"], dtype=str).to_parquet(building / FAULTS)
    (building / REPORT).write_text(json.dumps({"images": len(rows), "refused": len(refused), "near": len(near)}))


def covers(folder: Path, digests: list[str]) -> bool:
    """Whether a cache seems to know these contents, refused ones too: by the first 8 bytes of each digest."""
    try:
        known = np.load(folder / CONTENTS, mmap_mode="r", allow_pickle=False)
        return bool(np.isin(_heads(to_bytes(digests)), _heads(known)).all())
    except (OSError, ValueError, EOFError, IndexError):
        return False


def _heads(digests: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64)


def load(folder: Path, size: int, digests: dict[str, str], unreadable: Mapping[str, str]) -> Cache:
    """The cache of a folder under this collection's names.

    Args:
        digests: image_id to content digest. unreadable: image_id to the reason of those without one.

    Raises:
        DamagedCache: a file is missing, cut, of another shape, or may not be read.
    """
    try:
        report = json.loads((folder / REPORT).read_text())
        count, refused = int(report["images"]), int(report["refused"])
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        descriptors = np.load(folder / DESCRIPTORS, mmap_mode="r", allow_pickle=False)
        known, sizes, near = (np.load(folder / name, allow_pickle=False) for name in (CONTENTS, SIZES, NEAR))
        faults = pd.read_parquet(folder / FAULTS)[["content", "kind", "text"]]
    except Exception as error:
        raise DamagedCache(f"{type(error).__name__}: {error}") from error
    expected = [(images, (count, size, size, 3)), (known, (count + refused, 32)), (sizes, (count, 2))]
    if len(descriptors) != count or near.shape != (report["near"], 2) or any(a.shape != s for a, s in expected):
        raise DamagedCache("its arrays have other shapes than its report says")
    if len(near) and not (0 <= near.min() <= near.max() < count):
        raise DamagedCache("pairs of rows that it does not have")
    order = to_hex(known)
    named = _named(digests, faults)
    return Cache(
        images=images,
        rows={digest: row for row, digest in enumerate(order[:count])},
        digests=digests,
        refused=[*unreadable.items(), *named["refused"]],
        mended=named["mended"],
        near=[(order[i], order[j]) for i, j in near.tolist()],
        flagged=named["flagged"],
        sizes=sizes,
        descriptors=descriptors,
    )


def _named(digests: dict[str, str], faults: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Faults of contents as faults of this collection's images, by kind, each list in the order of the images."""
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    by_content: dict[str, list[tuple[str, str]]] = {}
    for content, kind, text in faults.itertuples(index=False):
        by_content.setdefault(content, []).append((kind, text))
    if by_content:
        for image_id, digest in digests.items():
            for kind, text in by_content.get(digest, ()):
                found[kind].append((image_id, text))
    return found
