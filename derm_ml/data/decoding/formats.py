"""What a file is, told by its first bytes and never by its name."""

from __future__ import annotations

PILLOW = {"JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF"}
EXTRA = {"HEIF", "DICOM"}  # need the extra `formats`

_BRANDS = dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIF")
_BRANDS |= {b"avif": "AVIF", b"avis": "AVIF"}
_BMP_HEADERS = {length.to_bytes(4, "little") for length in (12, 40, 52, 56, 64, 108, 124)}

_KNOWN = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)

_FOREIGN = (
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"\0\x05\x16\x07", "a macOS resource file (._ file)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a Windows document (Thumbs.db or Office)"),
    (b"\0\0\x01\0", "a Windows icon"),
    (b"\0\0\x02\0", "a Windows cursor"),
    (b"\xff\x0a", "a JPEG XL image: convert it to PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image: convert it to PNG or JPEG"),
    (b"{\\rtf", "a text document"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the files with git lfs pull"),
)


def kind_of(content: bytes) -> str | None:
    """The name of a format that is read (one of PILLOW or EXTRA), or None."""
    for magic, kind in _KNOWN:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:2] == b"BM" and len(content) > 18 and content[14:18] in _BMP_HEADERS:
        return "BMP"
    if content[4:8] == b"ftyp":
        # The brand a file is written for comes first, those it is compatible with after it.
        length = min(int.from_bytes(content[:4], "big"), 256)
        brands = [content[8:12], *(content[at : at + 4] for at in range(16, length - 3, 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if content[128:132] == b"DICM":
        return "DICOM"
    return None


def foreign_kind(content: bytes) -> str | None:
    """In words, what a file that is no known image is, where its first bytes tell."""
    for magic, kind in _FOREIGN:
        if content.startswith(magic):
            return kind
    if content[257:262] == b"ustar":
        return "a tar archive"
    if content[4:8] == b"ftyp":
        return "a film (MP4 or QuickTime)"
    if content[:4] == b"RIFF":
        return "a sound or a film (RIFF)"
    if not content.strip(b"\0"):
        return "nothing but zero bytes"
    return _text_kind(content[:512])


def _text_kind(start: bytes) -> str | None:
    if b"\0" in start:
        return None
    try:
        text = start.decode("utf-8", errors="strict" if len(start) < 512 else "ignore").lstrip("\ufeff \t\r\n").lower()
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 9 for letter in text):
        return None
    if "<svg" in text:
        return "an SVG drawing"
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page: was the download refused?"
    if text.startswith("<"):
        return "an XML file"
    if text.startswith(("{", "[")):
        return "a JSON file"
    return "a text file" if len(text) > 3 else None
