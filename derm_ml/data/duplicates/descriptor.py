"""A picture as one row of bytes: a small flattened copy of it, and what of it lies beside a dark rim."""

from __future__ import annotations

import cv2
import numpy as np

from derm_ml.data.duplicates.view import LEVELS, OUTSIDE, SIDE, closed_grey, flattened

WHOLE = 128  # px, longer side of the whole picture that is described
LOCAL = 9.0  # px of `SIDE`: brightness wider than this is removed

ROW = np.dtype([("height", "u1"), ("width", "u1"), ("copy", "i1", (SIDE, SIDE)), ("rim", "u1", (SIDE, SIDE // 8))])


def describe_picture(whole: np.ndarray) -> np.ndarray:
    """What near duplicates are found by, uint8 [`ROW`.itemsize], of uint8 RGB [h, w, 3]; scaled to `WHOLE`."""
    longest = max(whole.shape[:2])
    if longest > WHOLE:
        size = [max(8, round(side * WHOLE / longest)) for side in whole.shape[1::-1]]
        whole = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    grey, inside, rim = closed_grey(whole)
    row = np.zeros((), dtype=ROW)
    row["height"], row["width"] = height, width = grey.shape
    row["copy"] = OUTSIDE
    copy = np.round(flattened(grey, inside, LOCAL) * LEVELS)
    row["copy"][:height, :width] = np.where(inside > 0, copy, OUTSIDE)
    row["rim"] = np.packbits(np.pad(rim, ((0, SIDE - height), (0, SIDE - width))), axis=1)
    return np.frombuffer(row.tobytes(), dtype=np.uint8)
