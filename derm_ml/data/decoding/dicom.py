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
    if data.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_decoder(data.file_meta.TransferSyntaxUID)
        _check_frame(data, frames, size)
    samples = pixel_array(data, index=0)
    mends = ["several frames: first frame taken"] if frames > 1 else []
    kind = str(data.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        samples = apply_color_lut(samples, data)
        shown = samples / float(np.iinfo(samples.dtype).max)
    elif kind.startswith("MONOCHROME"):
        shown = _grey(samples, data)
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


def _check_decoder(syntax: Any) -> None:
    """Lossless JPEG is the one compression of photographs that the extra does not read: its decoders are GPL or large.

    pydicom takes GDCM (BSD) where that is installed.
    """
    from pydicom.pixels.decoders.base import get_decoder

    try:
        read_here = get_decoder(syntax).is_available
    except NotImplementedError:  # films
        read_here = False
    if not read_here:
        raise RefusedImage(
            f"DICOM compressed as {syntax.name}, which nothing here reads: pip install python-gdcm, or store it "
            "uncompressed (gdcmconv --raw)"
        )


def _check_frame(data: Any, frames: int, size: tuple[int, int]) -> None:
    """A compressed frame has a size of its own, and it is the one that is decoded."""
    from pydicom.encaps import get_frame

    frame = get_frame(data.PixelData, 0, number_of_frames=frames)
    kind = kind_of(frame)
    if kind == "JPEG":
        stored = _jpeg_size(frame)
    elif kind == "JPEG2000":
        stored = Image.open(io.BytesIO(frame), formats=[kind]).size
    else:  # run lengths (RLE) have none
        return
    if stored != size:
        raise RefusedImage(f"damaged DICOM: {size[0]} x {size[1]} px, but its frame has {stored[0]} x {stored[1]}")


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    """(width, height) by the frame header: of lossless JPEG and JPEG-LS too, which Pillow does not know.

    Raises:
        RefusedImage: there is no such header before the samples.
    """
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return int.from_bytes(frame[at + 7 : at + 9], "big"), int.from_bytes(frame[at + 5 : at + 7], "big")
        # before a marker any number of 0xFF may stand
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    raise RefusedImage("damaged DICOM: a JPEG frame that does not say its size")


def _grey(samples: np.ndarray, data: Any) -> np.ndarray:
    """Grey samples to [0, 1]: by the file's first table, else by its first window, else by all that can be stored.

    DICOM PS3.3 C.11.1 (modality: rescale or table), C.11.2.1.1 (table) and C.11.2.1.2 (window).
    """
    from pydicom.pixels.processing import apply_modality_lut

    if data.get("ModalityLUTSequence"):
        values = apply_modality_lut(samples, data).astype(np.float64)
        black, white = 0.0, 2.0 ** int(data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    else:
        slope, intercept = float(data.get("RescaleSlope", 1) or 1), float(data.get("RescaleIntercept", 0) or 0)
        values = samples.astype(np.float64) * slope + intercept
        bits = int(data.BitsStored)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if int(data.PixelRepresentation) else (0, 2**bits - 1)
        black, white = sorted((low * slope + intercept, high * slope + intercept))
    if data.get("VOILUTSequence"):
        return _looked_up(values, data)
    centre, width = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
    if centre is None or width is None or width < 1:
        return np.asarray(((values - black) / (white - black)).clip(0, 1))
    function = str(data.get("VOILUTFunction", "LINEAR"))
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -60, 60))))
    if function == "LINEAR_EXACT":
        return np.asarray(((values - centre) / width + 0.5).clip(0, 1))
    return np.asarray(((values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5).clip(0, 1))


def _looked_up(values: np.ndarray, data: Any) -> np.ndarray:
    from pydicom.pixels.processing import apply_voi

    entries, first, bits = (int(each) for each in data.VOILUTSequence[0].LUTDescriptor)
    # Within the table first: pydicom takes values beyond it modulo the table's number type.
    inside = values.round().clip(first, first + (entries or 2**16) - 1).astype(np.int64)
    return np.asarray(apply_voi(inside, data) / (2.0**bits - 1)).clip(0, 1)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
