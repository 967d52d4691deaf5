"""What the project takes from a picture: centre squares at the sizes asked for, and the whole, small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from derm_ml.data.decoding.photograph import not_a_photograph
from derm_ml.data.decoding.picture import Picture, open_jpeg, read_picture
from derm_ml.data.decoding.refusal import RefusedImage

WHOLE = 128  # px, of the longer side, at least


@dataclass(frozen=True)
class Decoded:
    """What one decoding gives.

    Attributes:
        squares: the centre square at each size asked for, uint8 RGB [s, s, 3]; each as if it alone had been asked for.
        whole: the whole picture, uint8 RGB [h, w, 3], averaged over blocks of pixels: its longer side has the px
            that were asked for, and less than twice as many; a picture that has fewer is as it is.
        mends: what was mended, in words.
        size: (width, height) of the picture as it is looked at, in px.
        verdict: why it is no photograph of a lesion, ("refuse" or "flag", reason), or None.
    """

    squares: tuple[np.ndarray, ...]
    whole: np.ndarray
    mends: tuple[str, ...]
    size: tuple[int, int]
    verdict: tuple[str, str] | None


def decode_image(content: bytes | np.ndarray, sizes: Sequence[int], whole: int = WHOLE) -> Decoded:
    """Decode, mend, and scale: all that a check and a training need of a file, from one look at its bytes.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where that loses nothing: twice, where a large and a small size are asked for,
    so that what is made at one size does not depend on the others.

    Args:
        content: an image file's bytes, or uint8 RGB [h, w, 3].
        sizes: sides of the squares, px. whole: least length of the whole's longer side, px.

    Raises:
        RefusedImage: with the reason.
    """
    pictures = _Scaled(content)
    squares = tuple(_fit(pictures.with_shorter_side(2 * size).image, size) for size in sizes)
    picture = pictures.with_shorter_side(whole)  # for 128 px the scale of a square of 64: decoded once for both
    small = _reduced(picture.image, whole)
    return Decoded(squares, small, picture.mends, picture.size, not_a_photograph(small, picture.size))


def decode(content: bytes | np.ndarray, size: int) -> tuple[np.ndarray, list[str]]:
    """The centre square alone, uint8 RGB [size, size, 3], and the mends.

    Raises:
        RefusedImage: with the reason.
    """
    picture = _Scaled(content).with_shorter_side(2 * size)
    return _fit(picture.image, size), list(picture.mends)


def decode_whole(content: bytes | np.ndarray, longest: int) -> np.ndarray:
    """The whole picture, mended, its longer side scaled down to `longest` where it is longer: uint8 RGB [h, w, 3].

    Raises:
        RefusedImage: with the reason.
    """
    return _thumbnail(_Scaled(content).with_longer_side(2 * longest).image, longest)


def decode_mask(content: bytes) -> np.ndarray | None:
    """A mask, bool [h, w]: what is brighter than half is the lesion; None for a file that cannot be read.

    A file of nothing but 0 and 1 is taken at its word.
    """
    try:
        pixels = np.asarray(read_picture(content).image.convert("L"))
    except RefusedImage:
        return None
    return np.asarray(pixels > (127 if pixels.max() > 1 else 0))


class _Scaled:
    """One file's picture at the reduced scales that are asked for, each decoded once."""

    def __init__(self, content: bytes | np.ndarray) -> None:
        self._content = content
        self._header = None if isinstance(content, np.ndarray) else open_jpeg(content)
        self._size = self._header.size if self._header else (0, 0)
        self._made: dict[int, Picture] = {}

    def with_shorter_side(self, least: int) -> Picture:
        return self._at(min(self._size) // least)

    def with_longer_side(self, least: int) -> Picture:
        return self._at(max(self._size) // least)

    def _at(self, at_most: int) -> Picture:
        scale = next((each for each in (8, 4, 2) if at_most >= each), 1)
        if scale not in self._made:
            self._made[scale] = self._read(scale)
        return self._made[scale]

    def _read(self, scale: int) -> Picture:
        if isinstance(self._content, np.ndarray):
            image = Image.fromarray(self._content)
            return Picture(image, image.size, ())
        opened, self._header = self._header, None  # it can be decoded once
        return read_picture(self._content, scale, opened)


def _fit(image: Image.Image, size: int) -> np.ndarray:
    return np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR, bleed=0.0), dtype=np.uint8)


def _reduced(image: Image.Image, least: int) -> np.ndarray:
    """Means of square blocks of pixels: a tenth of what resampling to one size costs."""
    factor = max(image.size) // least
    return np.asarray(image.reduce(factor) if factor > 1 else image, dtype=np.uint8)


def _thumbnail(image: Image.Image, longest: int) -> np.ndarray:
    small = image.copy() if max(image.size) <= longest else image
    if small is image:
        width, height = image.size
        share = longest / max(width, height)
        box = (max(1, round(width * share)), max(1, round(height * share)))
        small = image.resize(box, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small, dtype=np.uint8)
