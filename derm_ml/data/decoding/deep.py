"""Pictures that Pillow makes too little of: of 16 bits a colour it keeps the high bytes alone, which are black where
samples have 8 or 12 bits, and TIFFs of floating-point colours it does not open.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from derm_ml.data.decoding.refusal import MAX_PIXELS, check_size

MAX_SAMPLE_VALUE = 281  # TIFF's tag
_SWAPPED = {"B": "L", "L": "B", "N": "B"}  # little-endian machines


def stated_white(image: Image.Image) -> float | None:
    """The largest sample that the file says it may hold, where it says so and that is no whole container."""
    try:
        value = float(np.max(image.tag_v2[MAX_SAMPLE_VALUE]))  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - no TIFF, no such tag, or nonsense in it
        return None
    return value if 1 <= value <= 65535 else None


def low_samples(image: Image.Image, kind: str, content: bytes) -> np.ndarray | None:
    """The samples of a 16-bit colour picture that reach 4,095 at most: uint16 [h, w, c]; None for any other picture.

    Args:
        image: loaded; its pixels are the high bytes.
    """
    if kind not in ("PNG", "TIFF") or image.mode not in ("RGB", "RGBA"):
        return None
    high = np.asarray(image)[..., :3]
    if high.max() > 15:  # also every picture of 8 bits a colour that is not nearly black
        return None
    again = Image.open(io.BytesIO(content), formats=[kind])
    tiles = []
    for tile in again.tile:
        first, *rest = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if not (isinstance(first, str) and ";16" in first):
            return None
        # The byte order the other way round: what Pillow then takes for the high byte is the low one.
        args = (first[:-1] + _SWAPPED[first[-1]], *rest)
        tiles.append(tile._replace(args=args if isinstance(tile.args, tuple) else args[0]))
    again.tile = tiles
    again.load()
    low = np.asarray(again)[..., :3]
    samples: np.ndarray = high.astype(np.uint16) * 256 + low
    return samples


def float_colours(content: bytes) -> np.ndarray | None:
    """The samples of a TIFF's first page where these are uncompressed floating-point RGB, [h, w, 3]; else None.

    Raises:
        RefusedImage: too large.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page: Any = file.pages.first
            wanted = page.dtype is not None and page.dtype.kind == "f" and page.axes == "YXS" and page.shape[2] == 3
            if not wanted or page.compression != 1 or page.nbytes > len(content):
                return None
            height, width, _ = page.shape
            samples: np.ndarray | None = page.asarray() if height * width <= MAX_PIXELS else None
    except Exception:  # noqa: BLE001 - a damaged file: Pillow's word on it stands
        return None
    check_size(width, height)
    return samples
