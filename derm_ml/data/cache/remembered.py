"""Which content a file had when it was last read, so that an unchanged file need not be read again."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from derm_ml.data.cache.kept import to_bytes, to_hex
from derm_ml.data.cache.place import cache_root, make_folder
from derm_ml.data.source import Source

# A file can change again within one tick of its clock, without a trace: what changed within 2 s before it was read
# is read again (git calls such entries racy).
RACY = 2_000_000_000
GONE = -1


class Remembered:
    """Digests of a collection's files, a table of this user's in the cache, by path, size, times and inode."""

    def __init__(self, source: Source) -> None:
        self._ids = source.records["image_id"].tolist()
        self._paths = _paths(source, self._ids)
        name = hashlib.sha256(os.fsencode(Path(source.location).absolute())).hexdigest()[:32]
        self._file = cache_root() / "files" / f"{os.getuid()}-{name}.npz"
        self.seen = time.time_ns()
        self.stamps = np.array([_stamp(path) for path in self._paths], dtype=np.int64).reshape(-1, 4)

    def digests(self) -> dict[str, str]:
        """image_id to digest, of the files that are as they were."""
        if not any(self._paths):
            return {}
        try:
            with np.load(self._file, allow_pickle=False) as kept:
                paths, stamps, digests, seen = (kept[name] for name in ("paths", "stamps", "digests", "seen"))
            order = {path: row for row, path in enumerate(paths.tobytes().split(b"\0"))}
        except (OSError, ValueError, EOFError, KeyError):
            return {}
        if not len(order) == len(stamps) == len(digests) == len(seen):
            return {}
        at = np.array([order.get(path, GONE) for path in self._paths], dtype=np.int64)
        settled = np.maximum(stamps[at, 1], stamps[at, 2]) + RACY < seen[at]
        same = (at != GONE) & (self.stamps[:, 0] != GONE) & (stamps[at] == self.stamps).all(axis=1) & settled
        rows = np.flatnonzero(same)
        known = to_hex(digests[at[rows]])
        return {self._ids[row]: digest for row, digest in zip(rows.tolist(), known, strict=True)}

    def keep(self, digests: dict[str, str]) -> None:
        """Remember them; where the cache cannot be written they are found by reading again."""
        rows = [
            row
            for row, (image_id, path) in enumerate(zip(self._ids, self._paths, strict=True))
            if path and b"\0" not in path and digests.get(image_id) and self.stamps[row, 0] != GONE
        ]
        if not rows:
            return
        paths = b"\0".join(self._paths[row] for row in rows)
        try:
            building = make_folder(self._file.parent) / f".{self._file.name}-{os.getpid()}"
            with building.open("wb") as file:
                np.savez(
                    file,
                    paths=np.frombuffer(paths, dtype=np.uint8),
                    stamps=self.stamps[rows],
                    digests=to_bytes([digests[self._ids[row]] for row in rows]),
                    seen=np.full(len(rows), self.seen),
                )
            building.replace(self._file)
        except OSError:
            return


def _paths(source: Source, ids: list[str]) -> list[bytes]:
    """Absolute paths of the files that hold one image each; empty for images that lie in none."""
    if source.path is None:
        return [b""] * len(ids)
    found = (source.path(image_id) for image_id in ids)
    return [os.fsencode(os.path.abspath(path)) if path else b"" for path in found]  # noqa: PTH100 (a million: in C)


def _stamp(path: bytes) -> tuple[int, int, int, int]:
    """Size, time of the last change of content and of anything (ns), and inode."""
    if not path:
        return GONE, 0, 0, 0
    try:
        found = os.stat(path)  # noqa: PTH116 (of bytes: names need not be UTF-8)
    except (OSError, ValueError):
        return GONE, 0, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & (2**63 - 1)
