"""What is no photograph of a lesion, by stated rules."""

from __future__ import annotations

import numpy as np


def not_a_photograph(pixels: np.ndarray, size: tuple[int, int]) -> tuple[str, str] | None:
    """Why a picture is no photograph of a lesion: ("refuse" or "flag", reason), or None.

    Args:
        pixels: uint8 RGB [h, w, 3], the whole picture, scaled down. size: (width, height) of the file's picture, px.
    """
    return None
