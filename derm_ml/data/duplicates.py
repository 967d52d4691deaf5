"""The same picture twice: exact copies by content, near copies by thumbnails, in exact integer arithmetic."""

from __future__ import annotations

import numpy as np

from derm_ml.data.groups import join_groups as join_groups  # where others look for it

SIDE = 16
# Correlation of two thumbnails above which they are the same photograph, in thousandths.
SAME = 995


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Grey thumbnails, uint8 [n, 256], of uint8 [n, s, s, 3] images with s divisible by 16."""
    count, side = images.shape[:2]
    block = side // SIDE
    grey = images.astype(np.uint32) @ np.array([77, 150, 29], dtype=np.uint32)
    means = grey.reshape(count, SIDE, block, SIDE, block).sum(axis=(2, 4)) // (block * block * 256)
    return np.asarray(means.astype(np.uint8).reshape(count, SIDE * SIDE))


def near_pairs(thumbs: np.ndarray, chunk: int = 2048) -> list[tuple[int, int]]:
    """Pairs (i < j) whose thumbnails correlate by more than `SAME` thousandths.

    Integers below 2^53 in float64: sums are exact, so that every machine finds the same pairs. Flat thumbnails
    (standard deviation below 2 levels) are like anything and pair with nothing.
    """
    values = thumbs.astype(np.float64)
    count = values.shape[1]
    sums, squares = values.sum(axis=1), (values**2).sum(axis=1)
    variance = count * squares - sums**2
    usable = np.flatnonzero(variance > (2 * count) ** 2)
    pairs = []
    for start in range(0, len(usable), chunk):
        left = usable[start : start + chunk]
        for other in range(start, len(usable), chunk):
            right = usable[other : other + chunk]
            covariance = count * (values[left] @ values[right].T) - np.outer(sums[left], sums[right])
            limit = np.outer(variance[left], variance[right]) * (SAME / 1000) ** 2
            hits = np.argwhere((covariance > 0) & (covariance**2 > limit))
            pairs += [(int(left[i]), int(right[j])) for i, j in hits if left[i] < right[j]]
    return pairs
