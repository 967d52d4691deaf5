"""The pictures most like each, by their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from derm_ml.progress import progress

if TYPE_CHECKING:
    import faiss

RIDGE = 0.01  # of the largest deviation, added to each
FEW = 10  # pictures a component, of which the deviations are half believed
NEIGHBOURS = 6  # most like ones of each picture
BLOCK = 4096  # pictures looked up at once
EXACT = 50_000  # pictures up to which all are compared
SAMPLE = 40  # vectors a cell from which the cells are made
PROBES = 48  # cells of the index searched for each picture


def whitened(vectors: np.ndarray) -> np.ndarray:
    """Vectors, float32 [n, d], in which what all pictures of a collection share counts little; length 1 again.

    Principal components over their deviations (PCA whitening); of few pictures, which tell little about deviations,
    nearly as they were.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    power, axes = np.linalg.eigh(centred.T @ centred / len(vectors))
    least = power[-1] * (RIDGE + vectors.shape[1] / FEW / len(vectors))
    out = centred @ axes / np.sqrt(np.maximum(power, 0) + max(least, 1e-12))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def neighbours(known: np.ndarray, asked: np.ndarray, border: int | None) -> np.ndarray:
    """The most alike of `known`, float32 [n, d], to each of `asked` [n, d]: pairs (asked, known), int64 [m, 2].

    Row k of both is of picture k, and no neighbour of itself. With a border only pairs of a picture before it and one
    from it on.
    """
    if border is None:
        return _nearest(known, asked)
    ahead = _nearest(known[:border], asked[border:], border)
    behind = _nearest(known[border:], asked[:border], -border)
    return np.concatenate([ahead + [border, 0], behind + [0, border]])


def _nearest(known: np.ndarray, asked: np.ndarray, apart: int = 0) -> np.ndarray:
    """Pairs of row numbers; row k of `asked` is row k + `apart` of `known`."""
    if not len(known) or not len(asked):
        return np.empty((0, 2), np.int64)
    index = _index(np.ascontiguousarray(known))
    pairs = []
    with progress("Looking for near duplicates", len(asked), "pictures") as bar:
        for first in range(0, len(asked), BLOCK):
            part = np.ascontiguousarray(asked[first : first + BLOCK])
            there = index.search(part, min(NEIGHBOURS + 1, len(known)))[1]
            here = np.repeat(np.arange(first, first + len(part)), there.shape[1])
            found = np.stack([here, there.ravel()], axis=1)
            pairs.append(found[(found[:, 1] >= 0) & (found[:, 0] + apart != found[:, 1])])
            bar.advance(len(part))
    return np.asarray(np.concatenate(pairs), dtype=np.int64)


def _index(vectors: np.ndarray) -> faiss.Index:
    import faiss

    size = vectors.shape[1]
    exact = faiss.IndexFlatIP(size)
    if len(vectors) <= EXACT:
        exact.add(vectors)
        return exact
    cells = int(2 * len(vectors) ** 0.5)
    index = faiss.IndexIVFFlat(exact, size, cells, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:: max(1, len(vectors) // (cells * SAMPLE))])
    index.nprobe = PROBES
    index.add(vectors)
    return index
