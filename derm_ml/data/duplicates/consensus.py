"""Matches of two pictures that agree on one map: what most chance matches lack."""

from __future__ import annotations

import numpy as np

from derm_ml.data.duplicates.descriptor import STEP
from derm_ml.data.duplicates.index import Matches

LOOKED = 8  # matches of one pair of pictures that are compared with each other, by likeness
OCTAVES, RADIANS = 0.35, 0.6  # by which two matches' scales and turns may differ
SLACK, PIXELS = 0.3, 2.0  # by which a place may miss: share of the distance, and pixels of 96
APART = 0.7  # scales of the blob: nearer ones are the same blob


def supported(points: np.ndarray, found: Matches) -> tuple[np.ndarray, np.ndarray]:
    """How many other matches of the same two pictures support each.

    Args:
        points: structured [n, k], the keypoints of every picture. found: matches, any order.

    Returns:
        int64 [m], the matches ordered by pair and likeness; int64 [m], each one's support in that order.
    """
    key = found.first * len(points) + found.second
    order = np.lexsort((found.second_point, found.first_point, -found.likeness, key))
    key = key[order]
    a = points[found.first[order], found.first_point[order]]
    b = points[found.second[order], found.second_point[order]]
    place_a, place_b, size_a, size_b = _place(a), _place(b), _size(a), _size(b)
    ratio, turn, mirror = size_b / size_a, found.turn[order], found.mirror[order]
    support = np.zeros(len(order), np.int64)
    for lag in range(1, min(LOOKED, len(order) - 1) + 1):
        k = np.flatnonzero(key[:-lag] == key[lag:])
        m = k + lag
        angle = np.abs((turn[k] - turn[m] + np.pi) % (2 * np.pi) - np.pi)
        agree = (mirror[k] == mirror[m]) & (np.abs(np.log2(ratio[k] / ratio[m])) < OCTAVES) & (angle < RADIANS)
        k, m = k[agree], m[agree]
        away, seen = place_a[m] - place_a[k], place_b[m] - place_b[k]
        distance = np.hypot(*away.T)
        missed = np.hypot(*(turned(away, turn[k], mirror[k]) * ratio[k, None] - seen).T)
        near = missed < SLACK * distance * ratio[k] + PIXELS * np.maximum(ratio[k], 1)
        other = distance > APART * np.maximum(size_a[k], size_a[m])
        other |= np.abs(np.log2(size_a[k] / size_a[m])) > 0.8
        np.add.at(support, k[near & other], 1)
        np.add.at(support, m[near & other], 1)
    return order, support


def turned(vectors: np.ndarray, turn: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Vectors [n, 2] (x, y) of the first picture as the second shows them, but for scale."""
    x, y = vectors.T
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([c * x + s * y, np.where(mirror, s * x - c * y, c * y - s * x)], axis=1)


def _place(points: np.ndarray) -> np.ndarray:
    return np.stack([points["x"], points["y"]], axis=1).astype(np.float32) / 2


def _size(points: np.ndarray) -> np.ndarray:
    return np.asarray(2 ** ((points["scale"].astype(np.float32) - 64) / STEP))
