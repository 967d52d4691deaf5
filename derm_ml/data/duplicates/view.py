"""What a photograph shows inside its field of view: local structure, without brightness, colour, hair or vignette."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 96  # px, longer side at which pictures are compared
HAIR = 5  # px at that size: thinner dark lines are closed before anything is measured
HAIR_AT_LEAST, HAIR_CONTRAST = 8.0, 0.3  # grey levels, and standard deviations of the picture: darker lines are hair
MIDDLE = 0.72  # of each side: a second view, in which copies that show a part of it are as large
BLACK = 0.3  # share of the middle's brightness below which what touches a corner is outside the field of view
RIM = 6  # px at that size beside what is dark: a soft vignette is no structure of the skin
UNIFORM = 1  # grey levels within which what touches a corner is filling
FILLED = 0.004  # share of the picture below which such a corner is skin all the same
OUTSIDE = -128  # of a flattened copy: not in the field of view
LEVELS = 40  # of a flattened copy: one local standard deviation
NOISE = 2.5  # grey levels: contrast below it is not amplified


def closed_grey(whole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey picture without thin dark lines, and its field of view, of uint8 RGB [h, w, 3].

    Returns:
        float32 [h', w'] in grey levels, the longer side `SIDE`; float32 [h', w'], 1 inside the field of view, else 0;
        bool [h', w'], beside a dark rim.
    """
    height, width = whole.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    grey = cv2.cvtColor(np.ascontiguousarray(whole), cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (HAIR, HAIR))
    closed = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, ellipse)
    thin = cv2.subtract(closed, grey)
    limit = max(HAIR_AT_LEAST, HAIR_CONTRAST * float(grey.std()))
    hair = cv2.dilate(np.asarray(thin > limit, np.uint8), np.ones((3, 3), np.uint8))
    return np.where(hair > 0, closed, grey).astype(np.float32), *field_of_view(grey)


def field_of_view(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [h, w]: 0 in dark corners, bars and filling (what touches a corner and is black or uniform), else 1.

    And bool [h, w]: within `RIM` of what is dark.
    """
    height, width = grey.shape
    middle = grey[height // 4 : height - height // 4, width // 4 : width - width // 4]
    black = int(float(np.median(middle)) * BLACK)
    outside = np.zeros((height + 2, width + 2), np.uint8)
    dark = np.zeros_like(outside)
    flags = 4 | (255 << 8) | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if outside[y + 1, x + 1]:
            continue
        seed, before = int(grey[y, x]), outside.copy()
        down, up = (seed, black - seed) if seed < black else (UNIFORM, UNIFORM)
        if cv2.floodFill(grey, outside, (x, y), 0, down, max(UNIFORM, up), flags)[0] < FILLED * grey.size:
            outside = before
        elif seed < black:
            dark |= outside & ~before
    # The edge of the field is no structure of the skin.
    grown = cv2.dilate(outside, np.ones((7, 7), np.uint8))[1:-1, 1:-1]
    rim = cv2.dilate(dark, np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))[1:-1, 1:-1]
    return np.asarray(grown == 0, dtype=np.float32), np.asarray(rim > 0)


def flattened(grey: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Grey minus its local mean over its local standard deviation, float32 [h, w] in [-3, 3], 0 outside.

    `sigma` is the Gaussian's in pixels; means are taken inside the field of view alone.
    """
    height, width = grey.shape
    part = (max(2, width // 4), max(2, height // 4))
    reach = sigma * part[0] / width
    values = grey * inside
    weight = np.maximum(_wide(inside, part, reach), 1e-3)
    centred = (grey - _wide(values, part, reach) / weight) * inside
    spread = np.sqrt(np.maximum(_wide(centred * centred, part, reach), 0) / weight)
    return np.asarray(np.clip(centred / (spread + NOISE), -3, 3))


def middle(copy: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of a flattened copy, enlarged to its size, int8 [`SIDE`, `SIDE`]."""
    top, left = corner(height, width)
    part = copy[top : height - top, left : width - left]
    inside = (part != OUTSIDE).astype(np.float32)
    values = cv2.resize(part * inside, (width, height), interpolation=cv2.INTER_LINEAR)
    seen = cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR) > 0.99
    out = np.full_like(copy, OUTSIDE)
    out[:height, :width] = np.where(seen, np.round(values), OUTSIDE)
    return out


def corner(height: int, width: int) -> tuple[int, int]:
    """Top and left of what `middle` shows."""
    return round(height * (1 - MIDDLE) / 2), round(width * (1 - MIDDLE) / 2)


def _wide(values: np.ndarray, part: tuple[int, int], sigma: float) -> np.ndarray:
    """A wide Gaussian blur, made on a small copy."""
    small = cv2.resize(values, part, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(small, values.shape[::-1], interpolation=cv2.INTER_LINEAR))
