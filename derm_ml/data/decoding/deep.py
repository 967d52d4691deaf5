"""Pictures of 16 bits a colour: Pillow keeps the high bytes alone, which are black where samples have 8 or 12 bits."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

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
