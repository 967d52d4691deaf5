"""The one way in which a file of somebody's collection is read: regular files only, bounded, never waiting."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LIMIT = 2**30  # bytes: more is no photograph, and no table that is read whole
CHUNK = 2**24

KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a directory",
}


class UnreadableFile(OSError):
    """The file cannot be read; the message is the reason, without the path."""


def read_regular(path: str | bytes | os.PathLike[str], limit: int = LIMIT) -> bytes:
    """The whole content of a regular file (or of what a link to one leads to), at most `limit` bytes.

    Neither a FIFO, a socket or a device is waited for, nor can an endless or a growing file fill the memory.

    Raises:
        UnreadableFile: with the reason: it is not there, not regular, larger than `limit`, or the system says no.
    """
    path = Path(os.fsdecode(path))
    try:
        _check(path.stat(), limit)  # before opening: opening a device can already do something to it
        # Between the two calls the file may have become another: it is checked again, and opened without waiting.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            found = os.fstat(opened)
            _check(found, limit)
            return _read(opened, found.st_size, limit)
        finally:
            os.close(opened)
    except UnreadableFile:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UnreadableFile(_reason(path, error)) from error


def _check(found: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableFile(f"not a regular file: {KINDS.get(stat.S_IFMT(found.st_mode), 'of an unknown kind')}")
    if found.st_size > limit:
        raise UnreadableFile(f"too large: {found.st_size:,} bytes, more than {limit:,}")


def _read(opened: int, expected: int, limit: int) -> bytes:
    """`expected` is what the file system says; some regular files (below /proc) say 0 and hold more."""
    parts: list[bytes] = []
    total = 0
    while part := os.read(opened, min(CHUNK, max(1, expected + 1 - total))):
        parts.append(part)
        total += len(part)
        if total > limit:
            raise UnreadableFile(f"too large: it grew while it was read, to more than {limit:,} bytes")
        if total > expected:
            expected = total + CHUNK
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _reason(path: Path, error: OSError | ValueError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        return "a link that leads nowhere" if path.is_symlink() else "no such file"
    if number == errno.ELOOP:
        return "a link that leads back to itself"
    if number in (errno.EACCES, errno.EPERM):
        return "no permission to read it"
    told = os.strerror(number) if number else str(error)
    return f"cannot be read: {told}"
