"""Blobs of a picture at every scale, each described by the circular harmonics of the rings around it.

A turn multiplies the harmonic m of every ring by the same phase, a mirror conjugates it: two blobs are compared over
all turns at once, and what does not depend on the turn finds them in an index.
"""

from __future__ import annotations

import cv2
import numpy as np

SIGMAS = np.float32(1.33) * np.float32(2) ** (np.arange(8, dtype=np.float32) / 2)  # px: differences show blobs
COARSE = 4  # from this blur on, at half the size
QUOTA = (10, 8, 7, 6, 5, 4)  # blobs kept of each scale, the strongest
KEPT = sum(QUOTA)
FAINT = 0.02  # of a local standard deviation: weaker is no blob
RINGS = np.array([0.7, 1.4, 2.1, 2.8, 3.5, 4.2], dtype=np.float32)  # radii in scales of the blob
ANGLES = 16
HARMONICS = 5  # 0 to 4

_PHASE = 2 * np.pi * np.arange(ANGLES) / ANGLES
_DX = np.outer(RINGS, np.cos(_PHASE)).ravel().astype(np.float32)
_DY = np.outer(RINGS, np.sin(_PHASE)).ravel().astype(np.float32)
_FOURIER = np.exp(-1j * np.outer(_PHASE, np.arange(HARMONICS))).astype(np.complex64) / ANGLES


def keypoints(picture: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest blobs of every scale.

    Args:
        picture, inside: float32 [h, w], flattened, and 1 inside the field of view.

    Returns:
        float32 [k, 3]: x, y and scale in pixels; complex64 [k, 6, 5]: harmonics 0 to 4 of six rings, of the patch with
        mean 0 and variance 1.
    """
    levels = _levels(picture)
    places, level = _blobs(levels, inside)
    return places, _harmonics(places, level, levels)


def _levels(picture: np.ndarray) -> np.ndarray:
    """The picture under eight blurs, float32 [8, h, w]."""
    height, width = picture.shape
    half = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    levels = np.empty((len(SIGMAS), height, width), np.float32)
    for k, sigma in enumerate(SIGMAS):
        if k < COARSE:
            levels[k] = cv2.GaussianBlur(picture, (0, 0), float(sigma), borderType=cv2.BORDER_CONSTANT)
        else:
            blurred = cv2.GaussianBlur(half, (0, 0), float(sigma) / 2, borderType=cv2.BORDER_CONSTANT)
            levels[k] = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return levels


def _blobs(levels: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and scales, float32 [k, 3], and blurs, int64 [k], of the strongest peaks over place and scale."""
    contrast = np.abs(levels[:-1] - levels[1:])
    around = np.ones((3, 3), np.uint8)
    here = contrast[1:-1]
    highest = np.stack([cv2.dilate(level, around) for level in here])
    peak = (here == highest) & (here >= contrast[:-2]) & (here >= contrast[2:]) & (here > FAINT) & (inside > 0)
    scale, y, x = np.nonzero(peak)
    value = here[scale, y, x]
    order = np.lexsort((x, y, -value, scale))
    counts = np.bincount(scale, minlength=len(QUOTA))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = order[rank < np.array(QUOTA)[scale[order]]]
    scale, y, x, value = scale[order], y[order], x[order], value[order]
    smaller, larger = contrast[scale, y, x], contrast[scale + 2, y, x]
    # The parabola through three scales peaks between them.
    step = 0.5 * (smaller - larger) / np.minimum(smaller - 2 * value + larger, -1e-6)
    size = SIGMAS[scale + 1] * 2 ** (np.clip(step, -0.5, 0.5) / 2)
    return np.stack([x, y, size], axis=1).astype(np.float32), scale + 1


def _harmonics(places: np.ndarray, level: np.ndarray, levels: np.ndarray) -> np.ndarray:
    count, height, width = levels.shape
    x = places[:, 0:1] + places[:, 2:3] * _DX
    y = places[:, 1:2] + places[:, 2:3] * _DY
    seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    smooth = np.maximum(level - 2, 0)[:, None] * height  # a blur finer than the blob's: rings keep their structure
    x, y = np.where(seen, x, 0), np.where(seen, y + smooth, 0).astype(np.float32)
    stacked = levels.reshape(count * height, width)
    values = cv2.remap(stacked, x, y, cv2.INTER_LINEAR).reshape(x.shape) * seen if len(places) else x
    values = values - values.mean(axis=1, keepdims=True)
    values /= np.maximum(np.sqrt((values * values).mean(axis=1, keepdims=True)), 1e-3)
    return np.asarray(values.reshape(-1, ANGLES) @ _FOURIER).reshape(-1, len(RINGS), HARMONICS)
