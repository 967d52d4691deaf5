"""A picture as one row of bytes: a small flattened copy of it, and its keypoints."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from derm_ml.data.duplicates.keypoints import HARMONICS, KEPT, RINGS, keypoints
from derm_ml.data.duplicates.view import SIDE, closed_grey, flattened

WHOLE = 128  # px, longer side of the whole picture that is described
VIEW = 64  # px, longer side at which keypoints are looked for
CENTRE = 0.64  # of the frame, a second view: keypoints of copies that show the middle, larger
WIDE, LOCAL = 24.0, 9.0  # px of 96: brightness wider than this is removed for keypoints, and for the copy
OUTSIDE = -128  # of the copy: not in the field of view
LEVELS = 40  # of the copy: one local standard deviation
FINE = 80  # quantisation of harmonics
STEP = 16.0  # quantisation of scales: steps an octave
VIEWS = 2

POINT = np.dtype(
    [
        ("x", "u1"),
        ("y", "u1"),
        ("scale", "u1"),
        ("zero", "i1", len(RINGS)),
        ("re", "i1", (len(RINGS), HARMONICS - 1)),
        ("im", "i1", (len(RINGS), HARMONICS - 1)),
    ]
)
ROW = np.dtype(
    [("height", "u1"), ("width", "u1"), ("points", "u1"), ("copy", "i1", (SIDE, SIDE)), ("point", POINT, VIEWS * KEPT)]
)


def describe_picture(whole: np.ndarray) -> np.ndarray:
    """What near duplicates are found by, uint8 [`ROW`.itemsize], of uint8 RGB [h, w, 3]; scaled to `WHOLE`."""
    longest = max(whole.shape[:2])
    if longest > WHOLE:
        size = [max(8, round(side * WHOLE / longest)) for side in whole.shape[1::-1]]
        whole = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    grey, inside = closed_grey(whole)
    height, width = grey.shape
    row = np.zeros((), dtype=ROW)
    row["height"], row["width"] = height, width
    copy = np.round(flattened(grey, inside, LOCAL) * LEVELS)
    row["copy"] = OUTSIDE
    row["copy"][:height, :width] = np.where(inside > 0, copy, OUTSIDE)
    wide = flattened(grey, inside, WIDE)
    places, rings = [], []
    for top, left, picture, mask in _views(wide, inside):
        scale = max(picture.shape) / VIEW
        size = [max(8, round(side / scale)) for side in picture.shape[::-1]]
        if size != list(picture.shape[::-1]):
            picture, mask = (cv2.resize(v, size, interpolation=cv2.INTER_AREA) for v in (picture, mask))
        found, harmonics = keypoints(picture, mask)
        places.append(found * scale + np.array([left, top, 0], np.float32))
        rings.append(harmonics)
    _write_points(row, np.concatenate(places), np.concatenate(rings))
    return np.frombuffer(row.tobytes(), dtype=np.uint8)


def _views(picture: np.ndarray, inside: np.ndarray) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """The whole picture and its middle, with their fields of view; top and left of each."""
    height, width = picture.shape
    top, left = round(height * (1 - CENTRE) / 2), round(width * (1 - CENTRE) / 2)
    yield 0, 0, picture, inside
    cut = (slice(top, height - top), slice(left, width - left))
    yield top, left, np.ascontiguousarray(picture[cut]), np.ascontiguousarray(inside[cut])


def _write_points(row: np.ndarray, places: np.ndarray, harmonics: np.ndarray) -> None:
    count = len(places)
    row["points"] = count
    points = row["point"][:count]
    points["x"], points["y"] = np.round(places[:, 0] * 2), np.round(places[:, 1] * 2)
    points["scale"] = np.round(np.log2(places[:, 2]) * STEP + 64)
    fine = np.round(harmonics * FINE)
    points["zero"] = np.clip(fine[:, :, 0].real, -127, 127)
    points["re"], points["im"] = np.clip(fine[:, :, 1:].real, -127, 127), np.clip(fine[:, :, 1:].imag, -127, 127)
