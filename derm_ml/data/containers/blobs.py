"""Shards that are read at any place: files, or objects of an S3 store by ranged requests."""

from __future__ import annotations

import io
import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_ml.data.source import SPLITS
from derm_ml.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SHARDS = {".tar", ".parquet"}
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST = 1_000_000  # shards of one pattern
REMOTE_BUFFER = 2**23  # bytes fetched at once while a remote shard is listed: a request costs more than they do
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Blob(ABC):
    """A shard: its name among the others, its size in bytes, and its content at any place."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size

    @abstractmethod
    def at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`. Raises OSError where there are fewer."""

    @abstractmethod
    def open(self) -> io.BufferedIOBase:
        """A file-like object over it, for libraries that read one."""


class LocalBlob(Blob):
    """A file. It is opened for each read: thousands of shards would exhaust a process's open files."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(name, path.stat().st_size)
        self._path = path

    def at(self, start: int, length: int) -> bytes:
        with self._path.open("rb", buffering=0) as file:
            return _whole(os.pread(file.fileno(), length, start), length)

    def open(self) -> io.BufferedIOBase:
        return self._path.open("rb")


class S3Blob(Blob):
    """An object of an S3 store."""

    def __init__(self, client: Any, bucket: str, key: str, name: str, size: int) -> None:
        super().__init__(name, size)
        self._client, self._bucket, self._key = client, bucket, key

    def at(self, start: int, length: int) -> bytes:
        if not length:
            return b""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            where = f"bytes={start}-{start + length - 1}"
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key, Range=where)
            return _whole(answer["Body"].read(), length)
        except (BotoCoreError, ClientError) as error:
            raise OSError(f"s3://{self._bucket}/{self._key}: {error}") from error

    def open(self) -> io.BufferedIOBase:
        return io.BufferedReader(_Remote(self), REMOTE_BUFFER)


class _Remote(io.RawIOBase):
    def __init__(self, blob: Blob) -> None:
        self._blob, self._place = blob, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._blob.size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._blob.size - self._place))
        view[:length] = self._blob.at(self._place, length)
        self._place += length
        return length


def _whole(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise OSError(f"cut: {len(content):,} of {length:,} bytes")
    return content


def suffix(name: str) -> str:
    """The lower-case suffix of a shard's name."""
    return Path(name).suffix.lower()


def split_of(name: str) -> str:
    """The split that a shard's name begins with (`train-00000-of-00004.parquet`), or ''."""
    word = re.split(r"[-_.]", Path(name).name.lower())[0]
    found = SPLIT_NAMES.get(word, "")
    assert found in (*SPLITS, "")
    return found


def find_blobs(spec: str) -> list[Blob] | None:
    """The shards of a file, a folder of nothing else, a pattern or an S3 prefix; None: `spec` is none of these.

    Raises:
        UserError: shards of a pattern are missing, or the store answers otherwise.
    """
    if spec.startswith("s3://"):
        from derm_ml.data.containers.s3 import s3_blobs

        return s3_blobs(spec)
    path = Path(spec).expanduser()
    if path.is_dir():
        with os.scandir(path) as entries:
            found = [each.name for each in entries if not each.name.startswith(".")]
        shards = sorted(name for name in found if suffix(name) in SHARDS)
        beside = [name for name in found if suffix(name) not in SHARDS | {".json", ".md", ".txt", ".yaml", ".idx"}]
        return (
            [LocalBlob(path / name, name) for name in shards if (path / name).is_file()]
            if shards and not beside
            else None
        )
    if suffix(spec) not in SHARDS:
        return None
    if path.is_file():
        return [LocalBlob(path, path.name)]
    names = expand(spec)
    if names is None:
        return None
    missing = [name for name in names if not Path(name).expanduser().is_file()]
    if missing:
        raise UserError(
            f"data={spec}: {len(missing):,} of {len(names):,} shards are missing, the first is {missing[0]}"
        )
    return [LocalBlob(Path(name).expanduser(), Path(name).name) for name in names]


def expand(pattern: str) -> list[str] | None:
    """`a-{0000..0012}.tar` as its names, zeros kept; None where there are no braces.

    Raises:
        UserError: the range runs backwards or is too long.
    """
    found = RANGE.search(pattern)
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < MOST:
        raise UserError(f"data={pattern}: {found[0]} names no shards: give {{FIRST..LAST}}, at most {MOST:,}")
    width = len(found[1])
    made = [
        f"{pattern[: found.start()]}{number:0{width}d}{pattern[found.end() :]}" for number in range(first, last + 1)
    ]
    return [each for name in made for each in expand(name) or [name]]
