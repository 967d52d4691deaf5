"""What lies in a folder: images, tables and archives, told apart by name, else by content."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from derm_ml.errors import printable

IMAGES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib",
        ".tif", ".tiff", ".webp", ".gif", ".jp2", ".j2k", ".j2c", ".jpx",
        ".jpf", ".heic", ".heif", ".hif", ".avif", ".dcm", ".dicom",
    }
)  # fmt: skip
TABLES = frozenset({".csv", ".tsv", ".tab"})
PERHAPS_TABLES = frozenset({".txt", ""})
ARCHIVES = frozenset({".h5", ".hdf5", ".hdf"})
PACKED = frozenset({".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tar"})
SHEETS = frozenset({".xls", ".xlsx", ".ods", ".parquet", ".json", ".jsonl"})
# What file managers and archive tools leave behind.
LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"})
DOCUMENTS = re.compile(
    r"(^|/)(readme|licen[sc]es?|attribution|source|citation|copying|copyright|notice|changelog|about|terms|description)"
    r"|\.(md|pdf|html?|docx?|bib|rst|py|ipynb|sh|m|mat)$"
)
MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP  ",
    b"\xff\x4f\xff\x51",
)  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """Names relative to the root, with `/`, as the file system has them (surrogates where they are not UTF-8), sorted.

    Attributes:
        others: what is neither image, table nor archive. refused: (printable name, reason) of what cannot be opened.
    """

    root: Path
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def is_document(name: str) -> bool:
    """Whether it is what publishers put beside images to read: a licence, an attribution, a description."""
    return bool(DOCUMENTS.search(name.lower()))


def suffix(name: str) -> str:
    """The suffix in lower case, with its dot; "" where there is none."""
    return Path(name).suffix.lower()


def list_files(root: Path) -> Listing:
    """Every visible file below a folder, linked folders too, each folder once.

    Only regular files are listed; what a name or a link points to otherwise is refused by name, and never opened.
    """
    listing = Listing(root)
    seen: set[tuple[int, int]] = set()
    folders: list[str] = [""]
    linked: list[str] = []
    while folders or linked:
        inside = folders.pop() if folders else linked.pop()
        try:
            known = (root / inside).stat()
            if (known.st_dev, known.st_ino) in seen:
                continue
            seen.add((known.st_dev, known.st_ino))
            with os.scandir(root / inside) as entries:
                found = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            listing.refused.append((printable(inside), f"a folder that cannot be read: {error.strerror}"))
            continue
        if not found and suffix(inside) in IMAGES | TABLES:
            listing.refused.append((printable(inside), "an empty folder, not a file"))
        for entry in found:
            if entry.name.startswith(".") or entry.name.lower() in LEFT_BEHIND:
                continue
            name = f"{inside}/{entry.name}" if inside else entry.name
            if _is(entry, "dir"):  # real folders first: a link to one of them then adds nothing
                (linked if entry.is_symlink() else folders).append(name)
            elif _is(entry, "file"):
                _place(listing, name)
            else:
                listing.refused.append((printable(name), _why_not(entry)))
    for names in (listing.images, listing.tables, listing.archives, listing.others):
        names.sort()
    return listing


def _is(entry: os.DirEntry[str], kind: str) -> bool:
    try:
        return entry.is_dir() if kind == "dir" else entry.is_file()
    except OSError:  # a loop of links
        return False


def _why_not(entry: os.DirEntry[str]) -> str:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "a link to nothing: what it names is not there"
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return f"{kinds.get(stat.S_IFMT(mode), 'something else')}, not a regular file"


def _place(listing: Listing, name: str) -> None:
    kind = suffix(name)
    if kind in IMAGES:
        listing.images.append(name)
    elif kind in TABLES:
        listing.tables.append(name)
    elif kind in ARCHIVES:
        listing.archives.append(name)
    elif kind in SHEETS | PACKED:
        listing.others.append(name)
    elif _looks_like_an_image(listing.root / name):
        listing.images.append(name)
    else:
        (listing.tables if kind in PERHAPS_TABLES else listing.others).append(name)


def _looks_like_an_image(path: Path) -> bool:
    """By its first bytes; only asked of names that do not say."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    boxed = head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"hevc")
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(MAGIC) or boxed or webp or head[128:132] == b"DICM"
