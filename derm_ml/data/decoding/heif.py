"""HEIC and HEIF, as phones write them, by pillow-heif (the extra `formats`)."""

from __future__ import annotations

from PIL import Image

from derm_ml.data.decoding.refusal import RefusedImage, check_size


def opened(content: bytes) -> Image.Image:
    """The main picture, turned as it is looked at, of 8 bits a colour.

    Raises:
        RefusedImage: pillow-heif is not installed, or the picture is too large. Whatever libheif raises.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise RefusedImage("HEIC: reading it needs an extra: pip install 'derm-ml[formats]'") from error
    found = pillow_heif.open_heif(content, convert_hdr_to_8bit=True)
    check_size(*found.size)  # nothing is decoded yet
    image: Image.Image = found.to_pillow()
    return image
