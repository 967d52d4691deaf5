"""What near duplicates are looked for by: one row of bytes a picture, and the pairs among many. The one place."""

from __future__ import annotations

import numpy as np

from derm_ml.data.duplicates import describe_picture, near_pairs
from derm_ml.data.duplicates.descriptor import ROW, WHOLE

DTYPE, SHAPE = np.uint8, (ROW.itemsize,)


def describe(whole: np.ndarray) -> np.ndarray:
    """The descriptor, `DTYPE` `SHAPE`, of a whole picture whose longer side is at most `WHOLE` px."""
    return describe_picture(whole)


def pairs(descriptors: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows (i < j) of `DTYPE` [n, *SHAPE] that are nearly the same picture."""
    return near_pairs(descriptors) if len(descriptors) else []


__all__ = ["DTYPE", "SHAPE", "WHOLE", "describe", "pairs"]
