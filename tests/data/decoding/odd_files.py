"""Odd files, a kind a line: how each is made, and what becomes of it ("ok", "mended" or "refused").

`plant(folder)` puts all of them into a folder, as images of a collection.
"""

from __future__ import annotations

import gzip
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from file_makers import (
    SIDE,
    archive,
    bomb_png,
    chunk,
    dicom,
    dicom_compressed,
    dicom_of_frame,
    encoded,
    exif,
    frame_header,
    gif_frames,
    heic,
    jpeg_size,
    many,
    patched,
    photograph,
    plain_tiff,
    png,
    png16,
    tiff,
    webp_frames,
    with_exif,
    without_pixels,
)


def link_loop(path: Path) -> None:
    path.symlink_to(path.name)


def bound_socket(path: Path) -> None:
    """Bound from its folder: a socket's path is at most 107 bytes long."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * 2**30)


def link_to_fifo(path: Path) -> None:
    hidden = path.parent / ".fifo-behind-a-link"
    os.mkfifo(hidden)
    path.symlink_to(hidden.name)


def unreadable(path: Path) -> None:
    path.write_bytes(encoded("JPEG"))
    path.chmod(0)


JPEG2000 = "1.2.840.10008.1.2.4.90"
BASELINE = "1.2.840.10008.1.2.4.50"
LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
RLE = "1.2.840.10008.1.2.5"
DEEP = photograph().astype(np.uint16)

CONTENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    # other things under an image's name
    "empty.jpg": (lambda: b"", "refused"),
    "one_byte.jpg": (lambda: b"\xff", "refused"),
    "zeros.jpg": (lambda: bytes(5000), "refused"),
    "random.jpg": (lambda: np.random.default_rng(1).bytes(5000), "refused"),
    "eps.jpg": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n", "refused"),
    "eps_binary.jpg": (lambda: b"\xc5\xd0\xd3\xc6" + bytes(60), "refused"),
    "postscript.png": (lambda: b"%!PS\nshowpage\n", "refused"),
    "pdf.jpg": (lambda: b"%PDF-1.7\n1 0 obj\n", "refused"),
    "photoshop.jpg": (lambda: b"8BPS\0\1" + bytes(60), "refused"),
    "svg.png": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "refused"),
    "html.jpg": (lambda: b"<!DOCTYPE html><html><body>404</body></html>", "refused"),
    "json.jpg": (lambda: b'{"message": "rate limit"}', "refused"),
    "csv.jpg": (lambda: b"image,label\na.jpg,mel\n", "refused"),
    "zip.jpg": (lambda: archive("zip"), "refused"),
    "gzip.jpg": (lambda: gzip.compress(encoded("JPEG")), "refused"),
    "tar.jpg": (lambda: archive("tar"), "refused"),
    "program.jpg": (lambda: b"\x7fELF\2\1\1" + bytes(100), "refused"),
    "film.jpg": (lambda: b"\0\0\0\x18ftypmp42" + bytes(60), "refused"),
    "sound.webp": (lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "refused"),
    "hdf5.jpg": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "refused"),
    "lfs.jpg": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "refused"),
    "._mac.jpg": (lambda: b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(60), "refused"),
    "Thumbs.db": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "refused"),
    "icon.jpg": (lambda: encoded("ICO"), "refused"),
    "ppm.jpg": (lambda: encoded("PPM"), "refused"),
    "xpm.png": (lambda: b"/* XPM */\nstatic char * a[] = {\n", "refused"),
    # JPEG
    "plain.jpg": (lambda: encoded("JPEG"), "ok"),
    "png_inside.jpg": (lambda: encoded("PNG"), "ok"),
    "progressive.jpg": (lambda: encoded("JPEG", progressive=True), "ok"),
    "grey.jpg": (lambda: encoded("JPEG", mode="L"), "mended"),
    "cmyk.jpg": (lambda: encoded("JPEG", mode="CMYK"), "mended"),
    "mpo.jpg": (lambda: many("MPO"), "ok"),
    "turned.jpg": (lambda: with_exif(exif((0x0112, 3, 1, b"\6\0"))), "mended"),
    "tail.jpg": (lambda: encoded("JPEG") + bytes(1000), "ok"),
    "soi_only.jpg": (lambda: b"\xff\xd8\xff", "refused"),
    "soi_cut.jpg": (lambda: b"\xff\xd8", "refused"),
    "header_cut.jpg": (lambda: encoded("JPEG")[:200], "refused"),
    "half.jpg": (lambda: encoded("JPEG")[: len(encoded("JPEG")) // 2], "refused"),
    "progressive_cut.jpg": (lambda: encoded("JPEG", progressive=True)[:900], "refused"),
    "twelve_bits.jpg": (lambda: encoded("JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "refused"),
    "lossless.jpg": (lambda: encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc3"), "refused"),
    "default_tables.jpg": (lambda: encoded("JPEG").replace(b"\xff\xc4", b"\xff\xee"), "ok"),
    "one_column.jpg": (lambda: encoded("JPEG", photograph(1, 64)), "refused"),
    "zero_size.jpg": (lambda: jpeg_size(encoded("JPEG"), 0, 0), "refused"),
    "longest_row.jpg": (lambda: jpeg_size(encoded("JPEG"), 65500, 1), "refused"),
    "bomb.jpg": (lambda: jpeg_size(encoded("JPEG"), 65500, 65500), "refused"),
    "exif_text_for_number.jpg": (lambda: with_exif(exif((0x0112, 2, 4, b"six\0"))), "ok"),
    "exif_text_resolution.jpg": (lambda: with_exif(exif((0x0128, 2, 4, b"two\0"), (0x011A, 2, 4, b"abc\0"))), "ok"),
    "exif_far_offset.jpg": (lambda: with_exif(exif((0x011A, 5, 1, b"\xff\xff\xff\x7f"))), "ok"),
    "exif_loop.jpg": (lambda: with_exif(exif((0x8769, 4, 1, b"\x08\0\0\0"), following=8)), "ok"),
    "exif_many.jpg": (lambda: with_exif(exif((0x0112, 3, 0x7FFFFFFF, b"\6\0"))), "ok"),
    "exif_no_type.jpg": (lambda: with_exif(exif((0x0112, 99, 1, b"\6\0"))), "ok"),
    "exif_cut.jpg": (lambda: with_exif(exif((0x0112, 3, 1, b"\6\0"))[:17]), "ok"),
    "exif_noise.jpg": (lambda: with_exif(np.random.default_rng(2).bytes(200)), "ok"),
    "exif_zero_divisor.jpg": (lambda: with_exif(exif((0x011A, 5, 1, b"\x1a\0\0\0")) + bytes(8)), "ok"),
    "mpf_noise.jpg": (lambda: encoded("JPEG")[:2] + b"\xff\xe2\0\x10MPF\0II*\0" + bytes(6) + encoded("JPEG")[2:], "ok"),
    # PNG
    "plain.png": (lambda: encoded("PNG"), "ok"),
    "one_bit.png": (lambda: encoded("PNG", mode="1"), "mended"),
    "palette.png": (lambda: encoded("PNG", mode="P"), "ok"),
    "palette_clear.png": (lambda: encoded("PNG", mode="P", transparency=3), "mended"),
    "grey_alpha.png": (lambda: encoded("PNG", mode="LA"), "mended"),
    "alpha.png": (lambda: encoded("PNG", mode="RGBA"), "mended"),
    "animated.png": (lambda: many("PNG"), "mended"),
    "grey16.png": (lambda: encoded("PNG", DEEP[..., 0] * 257), "mended"),
    "colour16.png": (lambda: png16(DEEP * 257), "ok"),
    "colour12_in_16.png": (lambda: png16(DEEP * 16), "mended"),
    "colour8_in_16.png": (lambda: png16(DEEP), "mended"),
    "bomb.png": (bomb_png, "refused"),
    "long_bomb.png": (lambda: png(2**31 - 1, 2**31 - 1, 8, 2, b""), "refused"),
    "empty_data.png": (lambda: png(64, 48, 8, 2, b""), "refused"),
    "bad_crc.png": (lambda: patched(encoded("PNG"), 29, b"\0\0\0\0"), "refused"),
    "bad_filter.png": (lambda: png(64, 48, 8, 0, (b"\x09" + bytes(64)) * 48), "refused"),
    "bad_depth.png": (lambda: png(64, 48, 7, 2, bytes(48 * 193)), "refused"),
    "half.png": (lambda: encoded("PNG")[: len(encoded("PNG")) // 2], "refused"),
    "signature.png": (lambda: encoded("PNG")[:8], "refused"),
    "header_cut.png": (lambda: encoded("PNG")[:20], "refused"),
    "text_bomb.png": (
        lambda: encoded("PNG")[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000))) + encoded("PNG")[33:],
        "refused",
    ),
    # TIFF
    "plain.tif": (lambda: encoded("TIFF"), "ok"),
    "lzw.tif": (lambda: encoded("TIFF", compression="tiff_lzw"), "ok"),
    "lzw_cut.tif": (lambda: encoded("TIFF", compression="tiff_lzw")[:-3000], "refused"),
    "jpeg_in.tif": (lambda: encoded("TIFF", compression="jpeg"), "ok"),
    "pages.tif": (lambda: many("TIFF"), "mended"),
    "float_one.tif": (lambda: encoded("TIFF", photograph()[..., 0].astype(np.float32) / 255), "mended"),
    "float_255.tif": (lambda: encoded("TIFF", photograph()[..., 0].astype(np.float32)), "mended"),
    "float_nan.tif": (lambda: encoded("TIFF", np.full((48, 64), np.nan, np.float32)), "mended"),
    "float_normalised.tif": (lambda: encoded("TIFF", photograph()[..., 0].astype(np.float32) / 64 - 2), "refused"),
    "float_colour.tif": (lambda: plain_tiff(photograph().astype(np.float32), sample_format=3), "mended"),
    "float_colour_one.tif": (lambda: plain_tiff(photograph() / 255, sample_format=3), "mended"),
    "float_colour_cut.tif": (lambda: plain_tiff(photograph() / 255, sample_format=3)[:-3000], "refused"),
    "int32.tif": (lambda: encoded("TIFF", photograph()[..., 0].astype(np.int32)), "mended"),
    "grey16.tif": (lambda: plain_tiff(DEEP[..., 0] * 257), "mended"),
    "grey12_in_16.tif": (lambda: plain_tiff(DEEP[..., 0] * 16), "mended"),
    "colour16.tif": (lambda: plain_tiff(DEEP * 257), "ok"),
    "colour8_in_16.tif": (lambda: plain_tiff(DEEP), "mended"),
    "bomb.tif": (lambda: plain_tiff(photograph(), _256=[60_000], _257=[60_000]), "refused"),
    "far_strip.tif": (lambda: plain_tiff(photograph(), _273=[2**31]), "refused"),
    "far_directory.tif": (lambda: b"II*\0\xff\xff\xff\x7f" + bytes(100), "refused"),
    "directory_loop.tif": (lambda: plain_tiff(photograph(), following=8), "ok"),
    "no_tags.tif": (lambda: tiff({256: (4, [64])}), "refused"),
    "no_tag_values.tif": (lambda: plain_tiff(photograph(), _258=[]), "refused"),
    "cut.tif": (lambda: encoded("TIFF")[:4000], "refused"),
    # GIF, BMP, WebP, JPEG 2000, AVIF
    "plain.gif": (lambda: encoded("GIF"), "ok"),
    "frames.gif": (gif_frames, "mended"),
    "cut_in_second_frame.gif": (lambda: gif_frames()[: len(gif_frames()) * 45 // 100], "mended"),
    "cut_in_first_frame.gif": (lambda: encoded("GIF")[:1500], "refused"),
    "bomb.gif": (lambda: patched(encoded("GIF"), 6, b"\xff\xff\xff\xff"), "refused"),
    "header.gif": (lambda: b"GIF89a", "refused"),
    "plain.bmp": (lambda: encoded("BMP"), "ok"),
    "cut.bmp": (lambda: encoded("BMP")[:3000], "refused"),
    "bomb.bmp": (lambda: patched(encoded("BMP"), 18, struct.pack("<ii", 60_000, 60_000)), "refused"),
    "negative.bmp": (lambda: patched(encoded("BMP"), 18, struct.pack("<ii", -64, -48)), "refused"),
    "odd_bits.bmp": (lambda: patched(encoded("BMP"), 28, b"\x07"), "refused"),
    "plain.webp": (lambda: encoded("WEBP"), "ok"),
    "frames.webp": (webp_frames, "mended"),
    "frames_cut.webp": (lambda: webp_frames()[:-200], "refused"),
    "cut.webp": (lambda: encoded("WEBP")[:200], "refused"),
    "plain.jp2": (lambda: encoded("JPEG2000"), "ok"),
    "codestream.j2k": (lambda: encoded("JPEG2000", no_jp2=True), "ok"),
    "cut.jp2": (lambda: encoded("JPEG2000")[:100], "refused"),
    "plain.avif": (lambda: encoded("AVIF"), "ok"),
    "cut.avif": (lambda: encoded("AVIF")[:-100], "refused"),
    # the extra `formats`
    "plain.heic": (heic, "ok"),
    "heic_inside.jpg": (heic, "ok"),
    "cut.heic": (lambda: heic()[:-100], "refused"),
    "grey.dcm": (lambda: dicom(photograph()[..., 0]), "mended"),
    "inverted.dcm": (lambda: dicom(255 - photograph()[..., 0], "MONOCHROME1"), "mended"),
    "twelve.dcm": (lambda: dicom(DEEP[..., 0] * 16, bits=12), "mended"),
    "colour.dcm": (lambda: dicom(photograph(), "RGB"), "ok"),
    "frames.dcm": (lambda: dicom(np.stack([photograph()[..., 0]] * 3), NumberOfFrames=3), "mended"),
    "jpeg.dcm": (lambda: dicom_of_frame(encoded("JPEG"), BASELINE, "YBR_FULL_422"), "ok"),
    "jpeg2000.dcm": (lambda: dicom_of_frame(encoded("JPEG2000", no_jp2=True), JPEG2000, "RGB"), "ok"),
    "grey_ls.dcm": (lambda: dicom_compressed(photograph()[..., 0], JPEG_LS), "mended"),
    "colour_ls.dcm": (lambda: dicom_compressed(photograph(), JPEG_LS), "ok"),
    "near_ls.dcm": (lambda: dicom_compressed(photograph(), JPEG_LS_NEAR, jls_error=2), "ok"),
    "twelve_ls.dcm": (lambda: dicom_compressed(DEEP[..., 0] * 16, JPEG_LS, bits=12), "mended"),
    "grey_rle.dcm": (lambda: dicom_compressed(photograph()[..., 0], RLE), "mended"),
    "colour_rle.dcm": (lambda: dicom_compressed(photograph(), RLE), "ok"),
    "twelve_rle.dcm": (lambda: dicom_compressed(DEEP[..., 0] * 16, RLE, bits=12), "mended"),
    "cut_rle.dcm": (lambda: dicom_compressed(photograph(), RLE)[:-3000], "refused"),
    "cut_ls.dcm": (lambda: dicom_compressed(photograph(), JPEG_LS)[:-3000], "refused"),
    "bomb_ls.dcm": (lambda: dicom_of_frame(frame_header(0xF7, 60_000, 60_000), JPEG_LS, "RGB"), "refused"),
    "lossless.dcm": (lambda: dicom_of_frame(frame_header(0xC3, *SIDE), LOSSLESS, "RGB"), "refused"),
    "frame_bomb.dcm": (
        lambda: dicom_of_frame(jpeg_size(encoded("JPEG"), 60_000, 60_000), BASELINE, "YBR_FULL"),
        "refused",
    ),
    "no_pixels.dcm": (without_pixels, "refused"),
    "cut.dcm": (lambda: dicom(photograph(), "RGB")[:-3000], "refused"),
    "preamble.dcm": (lambda: bytes(128) + b"DICM", "refused"),
    # names
    os.fsdecode(b"caf\xe9.jpg"): (lambda: encoded("JPEG"), "ok"),
    "n" * 251 + ".jpg": (lambda: encoded("JPEG"), "ok"),
    "new\nline.jpg": (lambda: encoded("JPEG"), "ok"),
    "a, b & (c) 'd' \u75c5\u5909.jpg": (lambda: encoded("JPEG"), "ok"),
}

PLACES: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo.jpg": (os.mkfifo, "refused"),
    "link_to_fifo.jpg": (link_to_fifo, "refused"),
    "link_loop.jpg": (link_loop, "refused"),
    "link_to_nothing.jpg": (lambda path: path.symlink_to("gone.jpg"), "refused"),
    "link_to_zero.jpg": (lambda path: path.symlink_to("/dev/zero"), "refused"),
    "link_to_image.jpg": (lambda path: path.symlink_to("plain.jpg"), "ok"),
    "socket.jpg": (bound_socket, "refused"),
    "folder.jpg": (lambda path: path.mkdir(), "refused"),
    "sparse.jpg": (sparse, "refused"),
    "unreadable.jpg": (unreadable, "ok" if os.geteuid() == 0 else "refused"),
}


def plant(folder: Path) -> dict[str, str]:
    """Every odd file into a folder that exists; the name of each there to "refused", "mended" or "ok".

    A name need not be UTF-8: as in `os.listdir`, its other bytes are surrogates.
    """
    for name, (content, _) in CONTENTS.items():
        (folder / name).write_bytes(content())
    for name, (build, _) in PLACES.items():
        build(folder / name)
    return {name: outcome for name, (_, outcome) in (CONTENTS | PLACES).items()}
