"""Where the cache lies: a folder that several users may share, that can be written, and that is made by one at once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from derm_ml.errors import UserError
from derm_ml.progress import note_line

SHARED = 0o2070  # setgid and the group's rights: what a folder of a group hands on to folders made in it
LEFT_AFTER = 24 * 3600  # s, after which a building folder of an older version, which took no lock, is nobody's
SETTLE = "set DERM_ML_CACHE to a folder that can be written"


def cache_root() -> Path:
    """Where decoded images are kept: DERM_ML_CACHE, else derm_ml in the user's cache directory.

    Raises:
        UserError: there is no home directory.
    """
    given = os.environ.get("DERM_ML_CACHE")
    if given:
        return Path(given).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache").absolute() / "derm_ml"
    except RuntimeError as error:
        raise UserError(f"the cache of decoded images has no place ({error}): {SETTLE}") from error


def make_folder(path: Path) -> Path:
    """Make a folder and those above it, with the rights of the umask; in a group's folder with the group's as well.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        make_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir()
            above = path.parent.stat().st_mode
            if above & 0o2000:
                path.chmod(path.stat().st_mode & 0o7777 | above & SHARED)
        if not path.is_dir():
            raise NotADirectoryError(20, "there is a file of this name", str(path))
    return path


def writable(path: Path) -> Path:
    """A folder of the cache, made where it is missing, that this process can write.

    Raises:
        UserError: it cannot, and why.
    """
    try:
        probe = make_folder(path) / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"the cache of decoded images, {path}, cannot be written ({error.strerror or error}): {SETTLE}"
        ) from error
    return path


@contextmanager
def alone(folder: Path, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder to build in, empty, below `folder`; while it is held no other process of this user builds `name`.

    What killed processes left behind goes. The folder itself is removed at the end, unless it was renamed. With it
    comes whether another process had to be waited for.
    """
    waited = False
    lock = FileLock(_lock(folder, name), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note_line(f"another process is decoding these images: waiting for it ({lock.lock_file})")
        lock.acquire()
        waited = True
    try:
        _clean(folder)
        building = folder / f".building-{name}"
        shutil.rmtree(building, ignore_errors=True)
        make_folder(building)
        try:
            yield building, waited
        finally:
            shutil.rmtree(building, ignore_errors=True)
    finally:
        lock.release()


def _lock(folder: Path, name: str) -> Path:
    return folder / f".lock-{name}"


def _clean(folder: Path) -> None:
    """Remove building folders whose maker is gone: its lock is free, or there is none and it is old."""
    for each in folder.glob(".building-*"):
        lock = _lock(folder, each.name.removeprefix(".building-"))
        with suppress(OSError, Timeout):
            if lock.exists():
                with FileLock(lock, thread_local=False).acquire(timeout=0):
                    shutil.rmtree(each, ignore_errors=True)
                    lock.unlink(missing_ok=True)
            elif time.time() - each.stat().st_mtime > LEFT_AFTER:
                shutil.rmtree(each, ignore_errors=True)
