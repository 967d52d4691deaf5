"""Units of work that several processes share: each is one process's at a time, whatever becomes of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from derm_ml.progress import note_line


class Claims:
    """A file lock for each unit, in a folder. That of a process that is killed is free: its unit may be taken again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def offered(self, unit: str) -> Iterator[bool]:
        """Whether the unit is this process's for the block: no other process has it, and none has failed at it."""
        lock, failed = FileLock(self._path(unit, "lock")), self._path(unit, "failed")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield not failed.exists()
        except Exception:
            failed.touch()  # it would stop one process after another
            raise
        finally:
            lock.release()

    @contextmanager
    def awaited(self, unit: str) -> Iterator[None]:
        """The unit is this process's for the block, once no other process has it."""
        lock = FileLock(self._path(unit, "lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            note_line(f"{unit}: waiting for another process that works on it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def offer_again(self) -> None:
        """Those at which a process has failed."""
        for path in self.folder.glob("*.failed"):
            path.unlink()

    def _path(self, unit: str, kind: str) -> Path:
        return self.folder / f"{unit}.{kind}"
