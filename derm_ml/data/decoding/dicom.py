"""DICOM by pydicom (the extra `formats`): the first frame, its samples brought to 8-bit RGB."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from derm_ml.data.decoding.formats import kind_of
from derm_ml.data.decoding.refusal import RefusedImage, check_size

DEFLATED = b"1.2.840.10008.1.2.1.99"


def read(content: bytes) -> tuple[Image.Image, tuple[int, int], tuple[str, ...]]:
    """RGB pixels, (width, height), and the mends.

    Raises:
        RefusedImage: pydicom is not installed, no picture in it, or too large. Whatever pydicom raises.
    """
    try:
        import pydicom
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError as error:
        raise RefusedImage("DICOM: reading it needs an extra: pip install 'derm-ml[formats]'") from error
    if DEFLATED in content[132:2048]:  # pydicom inflates all of it, of whatever size, before anything can be asked
        raise RefusedImage("deflated DICOM: store it with another transfer syntax")
    data = pydicom.dcmread(io.BytesIO(content))
    if "PixelData" not in data:
        raise RefusedImage("DICOM without a picture")
    size = (int(data.Columns), int(data.Rows))
    check_size(*size)
    frames = int(data.get("NumberOfFrames") or 1)
    _check_frame(data, frames, size)
    samples = pixel_array(data, index=0)
    mends = ["several frames: first frame taken"] if frames > 1 else []
    kind = str(data.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        samples = apply_color_lut(samples, data)
        shown = samples / float(np.iinfo(samples.dtype).max)
    elif kind.startswith("MONOCHROME"):
        shown = _window(samples, data)
        mends.append("greyscale repeated to RGB")
    else:
        shown = samples / float(2 ** int(data.BitsStored) - 1)
    if kind == "MONOCHROME1" or data.get("PresentationLUTShape") == "INVERSE":
        shown = 1.0 - shown
        mends.append("MONOCHROME1 inverted")
    if int(data.BitsStored) > 8:
        mends.append(f"{data.BitsStored}-bit scaled to 8-bit")
    eight = (shown * 255.0).clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(eight).convert("RGB"), size, tuple(mends)


def _check_frame(data: Any, frames: int, size: tuple[int, int]) -> None:
    """A compressed frame has a size of its own, and it is the one that is decoded."""
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    from pydicom.encaps import get_frame

    frame = get_frame(data.PixelData, 0, number_of_frames=frames)
    kind = kind_of(frame)
    if kind in ("JPEG", "JPEG2000"):
        try:
            stored = Image.open(io.BytesIO(frame), formats=[kind]).size
        except OSError:  # lossless JPEG and JPEG-LS are beyond Pillow, and have their sizes checked by their decoders
            return
        if stored != size:
            raise RefusedImage(f"damaged DICOM: {size[0]} x {size[1]} px, but its frame has {stored[0]} x {stored[1]}")


def _window(samples: np.ndarray, data: Any) -> np.ndarray:
    """Grey samples to [0, 1]: by the file's first window, else by the whole range of the bits stored.

    DICOM PS3.3 C.11.1 (rescale) and C.11.2.1.2 (window).
    """
    slope, intercept = float(data.get("RescaleSlope", 1) or 1), float(data.get("RescaleIntercept", 0) or 0)
    values = samples.astype(np.float64) * slope + intercept
    centre, width = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        function = str(data.get("VOILUTFunction", "LINEAR"))
        if function == "SIGMOID":
            return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -60, 60))))
        if function == "LINEAR_EXACT":
            return np.asarray(((values - centre) / width + 0.5).clip(0, 1))
        return np.asarray(((values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5).clip(0, 1))
    bits = int(data.BitsStored)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if int(data.PixelRepresentation) else (0, 2**bits - 1)
    black, white = sorted((low * slope + intercept, high * slope + intercept))
    return np.asarray(((values - black) / (white - black)).clip(0, 1))


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
