"""A file's bytes opened as a picture, and its pixels mended to RGB."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from derm_ml.data.decoding import deep
from derm_ml.data.decoding.brightness import to_8_bits
from derm_ml.data.decoding.formats import EXTRA, PILLOW, foreign_kind, kind_of
from derm_ml.data.decoding.refusal import RefusedImage, check_size, decoders_errors_refuse, quiet

ORIENTATION = 0x0112
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALPHA = {"RGBA", "LA", "PA", "La", "RGBa"}
_COUNTED_BY_HEADER = {"PNG", "WEBP", "AVIF"}


@dataclass(frozen=True)
class Picture:
    """RGB pixels, perhaps at a reduced scale, the size of the file's own picture as it is looked at, and the mends."""

    image: Image.Image
    size: tuple[int, int]
    mends: tuple[str, ...]


def read_picture(content: bytes, scale: int = 1, opened: Image.Image | None = None) -> Picture:
    """Decode a file's bytes.

    Args:
        content: a whole file. scale: 1, 2, 4 or 8; a JPEG is decoded at that part of its size, which costs less.
        opened: its header, by `open_jpeg`, where it was read already.

    Raises:
        RefusedImage: with the reason.
    """
    kind = _kind(content)
    with decoders_errors_refuse(kind, len(content)), quiet():
        if kind == "DICOM":
            from derm_ml.data.decoding import dicom

            return Picture(*dicom.read(content))
        try:
            image = opened or _opened(kind, content)
        except UnidentifiedImageError:
            if kind != "TIFF" or (samples := deep.float_colours(content)) is None:
                raise
            eight, rule = to_8_bits(samples)
            return Picture(Image.fromarray(eight), (eight.shape[1], eight.shape[0]), (rule,))
        size = image.size
        check_size(*size)
        if kind == "JPEG" and scale > 1:
            image.draft("RGB", (size[0] // scale, size[1] // scale))
        image.load()
        turn, mends = _turn(image)
        if turn in _TURNED and turn >= 5:
            size = (size[1], size[0])
        rgb, colour = _to_rgb(image, kind, content)
        mends += colour
        if turn in _TURNED:
            rgb = rgb.transpose(_TURNED[turn])
            mends.append("EXIF rotation applied")
        if _has_more_frames(image, kind):
            mends.append("several pages: first page taken" if kind == "TIFF" else "animated: first frame taken")
        return Picture(rgb, size, tuple(mends))


def open_jpeg(content: bytes) -> Image.Image | None:
    """The header of a JPEG, which can be decoded at a reduced scale; None for other formats.

    Raises:
        RefusedImage: with the reason.
    """
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    with decoders_errors_refuse("JPEG", len(content)), quiet():
        return _opened("JPEG", content)


def _kind(content: bytes) -> str:
    if not content:
        raise RefusedImage("empty file (0 bytes)")
    kind = kind_of(content)
    if kind is None:
        foreign = foreign_kind(content)
        said = f": it is {foreign}" if foreign else ""
        raise RefusedImage(f"not a readable image ({len(content):,} bytes){said}")
    assert kind in PILLOW | EXTRA
    return kind


def _opened(kind: str, content: bytes) -> Image.Image:
    """The header read, by the one plugin of that format."""
    if kind == "HEIF":
        from derm_ml.data.decoding import heif

        return heif.opened(content)
    if kind == "JPEG":
        # Not Image.open: it looks for a second picture (MPO) in metadata that may be broken; the first is wanted.
        try:
            return JpegImageFile(io.BytesIO(content))
        except Exception:  # noqa: BLE001 - Pillow's reader of metadata raises anything
            return JpegImageFile(io.BytesIO(_without_metadata(content)))
    return Image.open(io.BytesIO(content), formats=[kind])


def _without_metadata(content: bytes) -> bytes:
    """A JPEG without its application segments but Adobe's, which says how the colours are stored."""
    kept, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if not 0xE0 <= content[at + 1] <= 0xEF or content[at + 1] == 0xEE:
            kept.append(content[at:end])
        at = end
    return b"".join(kept) + content[at:]


def _turn(image: Image.Image) -> tuple[int, list[str]]:
    """EXIF's orientation (1: as stored); metadata that cannot be read does not cost the picture."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - struct.error, TypeError, AttributeError, ... by what lies where a number belongs
        return 1, ["EXIF that cannot be read ignored"]
    return (found if isinstance(found, int) else 1), []


def _to_rgb(image: Image.Image, kind: str, content: bytes) -> tuple[Image.Image, list[str]]:
    if image.mode.startswith("I") or image.mode == "F":
        eight, rule = to_8_bits(np.asarray(image), deep.stated_white(image))
        return Image.fromarray(eight).convert("RGB"), [rule, "greyscale repeated to RGB"]
    mends = []
    samples = deep.low_samples(image, kind, content)
    if samples is not None:
        eight, rule = to_8_bits(samples)
        image, mends = Image.fromarray(eight, "RGBA" if eight.shape[2] == 4 else "RGB"), [rule]
    if image.mode in _ALPHA or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        mends.append("transparency laid on white")
    if image.mode == "CMYK":
        mends.append("CMYK converted to RGB")
    elif image.mode in ("L", "1", "LA"):
        mends.append("greyscale repeated to RGB")
    if kind == "JPEG" and image.mode == "RGB":
        return image, mends  # not a copy: nothing looks for another frame in it
    return image.convert("RGB"), mends


def _has_more_frames(image: Image.Image, kind: str) -> bool:
    """One step is tried, after the first frame was taken: to count them all is slow, and raises on a cut file."""
    if kind in _COUNTED_BY_HEADER:
        return bool(getattr(image, "is_animated", False))
    if kind not in ("GIF", "TIFF"):
        return False
    try:
        image.seek(1)
    except EOFError:
        return False
    except Exception:  # noqa: BLE001 - there is a second frame, and it is damaged: the first is not
        return True
    return True
