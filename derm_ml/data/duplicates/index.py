"""Pairs of pictures that may be the same: blobs that look alike under some turn, found in an index.

Vectors are small integers, so that every distance is exact in float32 and every machine finds the same neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_ml.data.duplicates.descriptor import FINE
from derm_ml.progress import progress

if TYPE_CHECKING:
    import faiss

NEIGHBOURS = 8  # nearest blobs looked up for each
PROBES = 4  # cells of the index searched for each blob
SAMPLE = 24  # vectors a cell from which the cells are made
ROUNDS = 4
BLOCK = 512  # pictures at once
TURNS = 32
ALIKE = 0.95  # correlation of two patches at their best turn below which they are not the same place


@dataclass(frozen=True)
class Matches:
    """Blobs of two pictures that look alike, one a row: pictures i < j, blob numbers, likeness in [0, 1]."""

    first: np.ndarray
    second: np.ndarray
    first_point: np.ndarray
    second_point: np.ndarray
    likeness: np.ndarray
    turn: np.ndarray  # radians
    mirror: np.ndarray  # bool

    def part(self, keep: np.ndarray) -> Matches:
        return Matches(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: list[Matches]) -> Matches:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


def invariants(points: np.ndarray) -> np.ndarray:
    """What a turn and a mirror leave as it is, uint8 [n, 70], of points [n] of dtype `POINT`."""
    zero = points["zero"].astype(np.float32) / FINE
    c = (points["re"].astype(np.float32) + 1j * points["im"].astype(np.float32)) / FINE
    size = np.abs(c)
    across = c[:, :-1] * np.conj(c[:, 1:])
    across /= np.sqrt(np.abs(across)) + 1e-6
    parts = [zero * 0.5, size, across.real * 0.7, np.abs(across.imag) * 0.7]
    shift = [128, 0, 128, 0]
    values = [p.reshape(len(points), -1) * 127 + s for p, s in zip(parts, shift, strict=True)]
    return np.clip(np.round(np.concatenate(values, axis=1)), 0, 255).astype(np.uint8)


def similar(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best correlation of patches over turns and mirror, the turn in radians from a to b, and the mirror."""
    angles = 2 * np.pi * np.arange(TURNS) / TURNS
    wave = np.exp(1j * np.outer(np.arange(1, 5), angles)).astype(np.complex64)
    ca, cb = (p["re"].astype(np.float32) + 1j * p["im"].astype(np.float32) for p in (a, b))
    za, zb = (p["zero"].astype(np.float32) for p in (a, b))
    norm = np.sqrt(_power(za, ca) * _power(zb, cb)) + 1e-6
    middle = (za * zb).sum(axis=1)[:, None]
    scores = [middle + 2 * ((ca * np.conj(o)).sum(axis=1) @ wave).real for o in (cb, np.conj(cb))]
    both = np.concatenate(scores, axis=1) / norm[:, None]
    best = both.argmax(axis=1)
    return both[np.arange(len(both)), best], angles[best % TURNS], best >= TURNS


def _power(zero: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.asarray((zero**2).sum(axis=1) + 2 * (np.abs(c) ** 2).sum(axis=(1, 2)))


def matches(table: np.ndarray, border: int | None = None) -> Iterator[Matches]:
    """Blobs of different pictures that look alike, of pictures [n] of dtype `ROW`, in blocks.

    With a border, only pairs of a picture before it and one from it on.
    """
    counts = table["points"].astype(np.int64)
    owner = np.repeat(np.arange(len(table)), counts)
    if not len(owner):
        return
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    vectors = np.concatenate([invariants(_points(table[s : s + BLOCK])) for s in range(0, len(table), BLOCK)])
    index = _index(vectors)
    start = np.concatenate([[0], np.cumsum(counts)])
    with progress("Looking for near duplicates", len(table)) as bar:
        for s in range(0, len(table), BLOCK):
            e = min(len(table), s + BLOCK)
            low, high = start[s], start[e]
            near = index.search(vectors[low:high].astype(np.float32), NEIGHBOURS + 1)[1]
            here = np.repeat(np.arange(low, high), near.shape[1])
            there = near.ravel()
            keep = (there >= 0) & (owner[here] != owner[there])
            keep &= (border is None) | ((owner[here] < (border or 0)) != (owner[there] < (border or 0)))
            here, there = here[keep], there[keep]
            here, there = np.minimum(here, there), np.maximum(here, there)
            i, j, p, q = owner[here], owner[there], number[here], number[there]
            a, b = table["point"][i, p], table["point"][j, q]
            likeness, turn, mirror = similar(a, b)
            good = likeness > ALIKE
            yield Matches(*(v[good] for v in (i, j, p, q, likeness, turn, mirror)))
            bar.advance(e - s)


def _points(table: np.ndarray) -> np.ndarray:
    used = np.arange(table["point"].shape[1])[None] < table["points"][:, None]
    return np.asarray(table["point"][used])


def _index(vectors: np.ndarray) -> faiss.Index:
    size = vectors.shape[1]
    import faiss

    cells = int(np.clip(2 ** round(np.log2(max(1, len(vectors)) ** 0.5 * 4)), 1, 16384))
    cells = max(1, min(cells, len(vectors) // 4))
    middles = _middles(vectors, cells)
    coarse = faiss.IndexFlatL2(size)
    coarse.add(middles)
    index = faiss.IndexIVFScalarQuantizer(
        coarse, size, cells, faiss.ScalarQuantizer.QT_8bit_direct, faiss.METRIC_L2, False
    )
    index.is_trained = True
    for s in range(0, len(vectors), 1 << 18):
        index.add(vectors[s : s + (1 << 18)].astype(np.float32))
    index.nprobe = min(PROBES, cells)
    return index


def _middles(vectors: np.ndarray, cells: int) -> np.ndarray:
    """The cells' middles, float32 [cells, d], whole numbers: k-means in exact arithmetic, whatever the files' order."""
    import faiss

    drawn = np.argsort(_hashed(vectors), kind="stable")[: cells * SAMPLE]
    sample = vectors[drawn].astype(np.float32)
    middles = sample[:cells].copy()
    for _ in range(ROUNDS):
        search = faiss.IndexFlatL2(sample.shape[1])
        search.add(middles)
        nearest = search.search(sample, 1)[1][:, 0]
        count = np.bincount(nearest, minlength=cells)
        order = np.argsort(nearest, kind="stable")
        used = np.flatnonzero(count)
        starts = (np.cumsum(count) - count)[used]
        sums = np.add.reduceat(sample[order].astype(np.int64), starts, axis=0)
        middles[used] = sums // count[used, None]
    return middles


def _hashed(vectors: np.ndarray) -> np.ndarray:
    """A number for each vector by its content alone, uint64 [n]."""
    odd = 2 * np.random.default_rng(0).integers(2**32, 2**62, vectors.shape[1]) + 1
    out = np.zeros(len(vectors), np.uint64)
    for column, factor in zip(vectors.T, np.asarray(odd, dtype=np.uint64), strict=True):
        out = (out ^ column) * factor
    return out ^ (out >> np.uint64(29))
