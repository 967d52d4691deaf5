"""One image from bytes to RGB, checked: what cannot be trusted is refused, what can be mended is, by a stated rule."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 200_000_000
MIN_SIDE = 16


class RefusedImage(ValueError):
    """The image cannot be used; the message is the reason."""


def decode(content: bytes | np.ndarray, size: int) -> tuple[np.ndarray, list[str]]:
    """Decode, mend, scale the shorter side to `size` and cut out the centre.

    Args:
        content: an image file's bytes, or uint8 RGB [h, w, 3].
        size: side of the result in pixels.

    Returns:
        uint8 RGB [size, size, 3], and the mends applied ("CMYK converted to RGB", ...).

    Raises:
        RefusedImage: with the reason.
    """
    if isinstance(content, np.ndarray):
        return _fit(Image.fromarray(content), size), []
    with _opened(content) as image:
        kind = image.format or "image"
        if kind == "JPEG":
            image.draft("RGB", (2 * size, 2 * size))  # decode at 1/2, 1/4 or 1/8 where that loses nothing
        try:
            mended, rules = _mend(image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            cut = "truncated" if "truncated" in str(error).lower() else "damaged"
            raise RefusedImage(f"{cut} {kind} ({len(content):,} bytes): {error}") from error
        return _fit(mended, size), rules


def decode_whole(content: bytes | np.ndarray, longest: int) -> np.ndarray:
    """The whole picture, mended, its longer side scaled down to `longest` where it is longer: uint8 RGB [h, w, 3].

    Raises:
        RefusedImage: with the reason.
    """
    if isinstance(content, np.ndarray):
        image = Image.fromarray(content)
    else:
        with _opened(content) as opened:
            image = _mend(opened)[0]
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8)


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """An image whose header was read and whose size is bearable."""
    if not content:
        raise RefusedImage("empty file (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL's own size warning: the limit below refuses
        try:
            image = Image.open(io.BytesIO(content))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise RefusedImage(f"not a readable image ({len(content):,} bytes)") from error
        except Image.DecompressionBombError as error:
            raise RefusedImage(f"decompression bomb: {error}") from error
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise RefusedImage(f"decompression bomb: {width} x {height} pixels, more than {MAX_PIXELS:,}")
        if min(width, height) < MIN_SIDE:
            raise RefusedImage(f"too small: {width} x {height} px, less than {MIN_SIDE}")
        yield image


def _mend(image: Image.Image) -> tuple[Image.Image, list[str]]:
    rules = []
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
        rules.append("animated: first frame taken")
    image.load()
    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
        rules.append("EXIF rotation applied")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scaled = values / 257.0 if values.max() > 255 else values
        image = Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
        rules.append("16-bit scaled to 8-bit")
    if image.mode == "CMYK":
        rules.append("CMYK converted to RGB")
    elif "A" in image.mode or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
        rules.append("transparency laid on white")
    elif image.mode in ("L", "1"):
        rules.append("greyscale repeated to RGB")
    return image.convert("RGB"), rules


def _fit(image: Image.Image, size: int) -> np.ndarray:
    return np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR, bleed=0.0), dtype=np.uint8)
