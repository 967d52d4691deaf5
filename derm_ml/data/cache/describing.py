"""What near duplicates are looked for by: one descriptor a picture, and the pairs among many. The one place."""

from __future__ import annotations

import numpy as np

from derm_ml.data.duplicates import SIDE, near_pairs, thumbnails

COMPARED_AT = 64  # px, whatever size is trained on: pairs join groups, which must not depend on it
DTYPE, SHAPE = np.uint8, (SIDE * SIDE,)


def describe(square: np.ndarray) -> np.ndarray:
    """The descriptor, `DTYPE` `SHAPE`, of uint8 [64, 64, 3]."""
    return np.asarray(thumbnails(square[None])[0])


def pairs(descriptors: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows (i < j) of `DTYPE` [n, *SHAPE] that are nearly the same picture."""
    return near_pairs(descriptors) if len(descriptors) else []
