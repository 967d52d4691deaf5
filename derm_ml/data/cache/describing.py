"""What near duplicates are looked for by: one descriptor a picture, and the pairs among many. The one place."""

from __future__ import annotations

import numpy as np

from derm_ml.data.decoding import Decoded
from derm_ml.data.duplicates import SIDE, near_pairs, thumbnails

COMPARED_AT = 64  # px, whatever size is trained on: pairs join groups, which must not depend on it
DTYPE, SHAPE = np.uint8, (SIDE * SIDE,)


def describe(decoded: Decoded) -> np.ndarray:
    """The descriptor, `DTYPE` `SHAPE`, of a picture whose last square is of `COMPARED_AT` px."""
    return np.asarray(thumbnails(decoded.squares[-1][None])[0])


def pairs(descriptors: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows (i < j) of `DTYPE` [n, *SHAPE] that are nearly the same picture."""
    return near_pairs(descriptors) if len(descriptors) else []
