"""Makers of image files, whole and odd, byte by byte where no library would write them."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
from PIL import Image

SIDE = (64, 48)


def photograph(width: int = SIDE[0], height: int = SIDE[1], seed: int = 0) -> np.ndarray:
    """Something with edges and noise: uint8 [h, w, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    inside = ((x - width / 2) / width) ** 2 + ((y - height / 2) / height) ** 2 < 0.06
    base = np.where(inside[..., None], [90, 60, 50], [205, 160, 140])
    return np.asarray((base + rng.normal(0, 8, (height, width, 3))).clip(0, 255), dtype=np.uint8)


def encoded(kind: str, pixels: np.ndarray | None = None, mode: str | None = None, **options: object) -> bytes:
    image = Image.fromarray(photograph() if pixels is None else pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png16(pixels: np.ndarray, colour: int = 2) -> bytes:
    """Samples of 16 bits, [h, w, c]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(pixels.shape[1], pixels.shape[0], 16, colour, rows)


def tiff(tags: dict[int, tuple[int, list[int]]], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory at byte 8 with `data` behind it; StripOffsets (273) of -1 means `data`."""
    entries, extra = [], b""
    end = 8 + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        code = {1: "B", 3: "H", 4: "I"}[kind]
        if tag == 273 and values == [-1]:
            values = [end + 64]
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            place, extra = end + len(extra), extra + packed
            packed = struct.pack("<I", place)
        entries.append(struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + directory + extra.ljust(64, b"\0") + data


def plain_tiff(pixels: np.ndarray, sample_format: int = 1, following: int = 0, **over: list[int]) -> bytes:
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8 * pixels.itemsize] * samples),
        259: (3, [1]),
        262: (3, [2 if samples == 3 else 1]),
        273: (4, [-1]),
        277: (3, [samples]),
        278: (4, [height]),
        279: (4, [pixels.nbytes]),
        339: (3, [sample_format] * samples),
    }
    for name, values in over.items():
        tags[int(name[1:])] = (4, values)
    return tiff(tags, pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(), following)


def with_exif(block: bytes) -> bytes:
    """A JPEG with these bytes as its EXIF block."""
    content = encoded("JPEG")
    payload = b"Exif\0\0" + block
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + content[2:]


def exif(*entries: tuple[int, int, int, bytes], following: int = 0) -> bytes:
    """A TIFF block of one directory: (tag, type, count, value or offset in four bytes)."""
    packed = b"".join(
        struct.pack("<HHI", tag, kind, count) + value[:4].ljust(4, b"\0") for tag, kind, count, value in entries
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def bomb_png() -> bytes:
    return png(40_000, 40_000, 8, 0, b"")


def patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def frame_header(marker: int, width: int, height: int) -> bytes:
    """The start of a JPEG of three colours of 8 bits, by the marker of its kind."""
    parts = b"".join(bytes([each, 0x11, 0]) for each in (1, 2, 3))
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">HBHHB", 17, 8, height, width, 3) + parts


def jpeg_size(content: bytes, width: int, height: int) -> bytes:
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    return patched(content, at + 5, struct.pack(">HH", height, width))


def gif_frames() -> bytes:
    frames = [Image.fromarray(photograph(seed=each)) for each in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def webp_frames() -> bytes:
    frames = [Image.fromarray(photograph(seed=each)) for each in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def many(kind: str, **options: object) -> bytes:
    frames = [Image.fromarray(photograph(seed=each)) for each in range(2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def heic(**options: object) -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(photograph())).save(buffer, quality=90, **options)
    return buffer.getvalue()


def dicom(samples: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 8, **elements: object) -> bytes:
    """An uncompressed DICOM of [h, w], [h, w, 3] or [frames, h, w] samples (frames where NumberOfFrames is given)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    shape = samples.shape[1:] if "NumberOfFrames" in elements else samples.shape
    data.Rows, data.Columns = shape[:2]
    data.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if len(shape) == 3:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = photometric
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * samples.itemsize, bits, bits - 1
    data.PixelRepresentation = int(samples.dtype.kind == "i")
    for name, value in elements.items():
        setattr(data, name, value)
    content = samples.tobytes()
    data.PixelData = content + b"\0" * (len(content) % 2)
    data["PixelData"].VR = "OW" if samples.itemsize > 1 else "OB"
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def dicom_of_frame(frame: bytes, syntax: str, photometric: str, size: tuple[int, int] = SIDE) -> bytes:
    """A DICOM around one compressed colour frame."""
    import pydicom
    from pydicom.encaps import encapsulate

    data = pydicom.dcmread(io.BytesIO(dicom(np.zeros((size[1], size[0], 3), np.uint8), photometric)))
    data.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    data.PixelData = encapsulate([frame])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def dicom_compressed(samples: np.ndarray, syntax: str, bits: int = 8, **options: object) -> bytes:
    """A DICOM that pydicom itself compressed: run lengths or JPEG-LS."""
    import pydicom

    plain = dicom(samples, "RGB" if samples.ndim == 3 else "MONOCHROME2", bits)
    data = pydicom.dcmread(io.BytesIO(plain))
    data.compress(syntax, **options)
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def without_pixels() -> bytes:
    import pydicom

    data = pydicom.dcmread(io.BytesIO(dicom(photograph(), "RGB")))
    del data.PixelData
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("a.txt", "nothing")
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("a.txt"))
    return buffer.getvalue()
