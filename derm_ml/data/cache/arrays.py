"""Arrays written row by row to a .npy file whose room is taken first: a full disk is one line, never a crash."""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from derm_ml.data.cache.place import SETTLE
from derm_ml.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
UNSUPPORTED = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


@contextmanager
def room(folder: Path, needed: int) -> Iterator[None]:
    """Turn a full disk, a quota or a limit of file size into one line.

    Raises:
        UserError: with the bytes needed and free, and the folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(folder).free
        raise UserError(
            f"the cache of decoded images does not fit into {folder.parent}: {needed:,} bytes are needed, {free:,} are "
            f"free ({os.strerror(error.errno or 0)}): make room, or {SETTLE} and has it"
        ) from error


class Rows:
    """A .npy file of at most `most` rows, written in order.

    The rows are not known before all are there: the header is written last. (A memory map would crash the process
    where the disk is full, and count against its memory.)
    """

    def __init__(self, path: Path, dtype: type[np.generic], shape: tuple[int, ...], most: int) -> None:
        self._dtype, self._shape, self.count = np.dtype(dtype), shape, 0
        self._row = self._dtype.itemsize * int(np.prod(shape))
        self._start = len(self._header(most))
        self._file = path.open("wb")
        self.bytes = self._start + most * self._row
        try:
            os.posix_fallocate(self._file.fileno(), 0, self.bytes)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                self._file.close()
                raise
        self._file.seek(self._start)

    def append(self, row: np.ndarray) -> None:
        """Write one row."""
        if row.shape != self._shape or row.dtype != self._dtype:
            raise ValueError(f"a row of {row.dtype} {row.shape}, not of {self._dtype} {self._shape}")
        self._file.write(np.ascontiguousarray(row).data)
        self.count += 1

    def finish(self) -> None:
        """Cut the file to the rows that came, and say so in its header."""
        with self._file:
            self._file.truncate(self._start + self.count * self._row)
            self._file.seek(0)
            header = self._header(self.count)
            assert len(header) == self._start, "numpy pads headers, so that their length does not depend on the rows"
            self._file.write(header)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Leave the file as it is, unfinished."""
        self._file.close()

    def _header(self, rows: int) -> bytes:
        made = io.BytesIO()
        kind = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(made, kind | {"shape": (rows, *self._shape)})
        return made.getvalue()
