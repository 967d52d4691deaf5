"""MedMNIST's files, by path: `{train,val,test}_images` and `_labels` in a zip, never all in memory at once."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from derm_ml.data.cache.arrays import room
from derm_ml.data.cache.place import cache_root, writable
from derm_ml.data.decoding.refusal import MIN_SIDE
from derm_ml.data.source import COLUMNS, SPLITS, Source
from derm_ml.errors import UserError

CHUNK = 2**24


def medmnist_source(path: Path) -> Source:
    """The images of a MedMNIST file, with its splits, labels and class names.

    Raises:
        UserError: a damaged file, arrays that are missing or of other shapes, or labels that name no one class.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            images, labels = _arrays(path, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"data={path}: a damaged or cut .npz file, or none ({error})") from error
    flag, names = _names(path)
    rows: list[tuple[str, str, str, str]] = []
    for split, pictures in images.items():
        given = labels.get(split)
        for number in range(len(pictures)):
            label = "" if given is None else names.get(str(given[number]), str(given[number]))
            rows.append((f"{split}_{number:05d}", label, "", split))

    def read(image_id: str) -> np.ndarray:
        split, _, number = image_id.rpartition("_")
        picture = np.array(images[split][int(number)])
        grey = picture.ndim == 2 or picture.shape[-1] == 1
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2) if grey else picture

    records = pd.DataFrame(rows, columns=COLUMNS, dtype=str)
    told = ", ".join(f"{split}_images {list(each.shape)}" for split, each in images.items())
    return Source(flag or "medmnist", str(path), records, read, choices=(("images", told),))


def _names(path: Path) -> tuple[str, dict[str, str]]:
    """The MedMNIST set that the file's name begins with, and the names of its classes by number."""
    from medmnist import INFO

    flags = [flag for flag in INFO if path.stem.lower().startswith(flag)]
    flag = max(flags, key=len, default="")
    return flag, {str(number): str(name) for number, name in INFO[flag]["label"].items()} if flag else {}


def _arrays(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    members = {Path(info.filename).stem: info for info in archive.infolist()}
    missing = [f"{split}_images" for split in SPLITS if f"{split}_images" not in members]
    if missing:
        has = ", ".join(sorted(members)[:8]) or "nothing"
        raise UserError(f"data={path}: no {', '.join(missing)} in this file (it has {has}): MedMNIST's arrays are read")
    images, labels = {}, {}
    for split in SPLITS:
        pictures = _array(path, archive, members[f"{split}_images"])
        colours = pictures.ndim == 4 and pictures.shape[-1] in (1, 3)
        if pictures.dtype != np.uint8 or not (pictures.ndim == 3 or colours) or min(pictures.shape[1:3]) < MIN_SIDE:
            raise UserError(
                f"data={path}: {split}_images is {pictures.dtype} {list(pictures.shape)}: pictures are uint8 "
                f"[n, h, w] or [n, h, w, 3] of {MIN_SIDE} px at least"
            )
        images[split] = pictures
        if f"{split}_labels" in members:
            labels[split] = _labels(path, split, _array(path, archive, members[f"{split}_labels"]), len(pictures))
    return images, labels


def _labels(path: Path, split: str, values: np.ndarray, count: int) -> np.ndarray:
    """One whole number an image, int64 [n]."""
    told = f"data={path}: {split}_labels is {values.dtype} {list(values.shape)}"
    if values.ndim == 2 and values.shape[1] > 1:
        raise UserError(f"{told}: several labels an image; one class an image is learnt")
    if values.size != count:
        raise UserError(f"{told}, and there are {count:,} images")
    if values.dtype.kind not in "iub" and not (values.dtype.kind == "f" and (values == np.round(values)).all()):
        raise UserError(f"{told}: no classes, which are whole numbers")
    return np.asarray(values).reshape(-1).astype(np.int64)


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """A member as a memory map: of the file itself where it is stored as it is, else of a copy decompressed once."""
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(info.header_offset)
            head = file.read(30)
            if len(head) < 30 or head[:4] != b"PK\3\4":
                raise zipfile.BadZipFile(f"no member at byte {info.header_offset:,}")
            start = (
                info.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            )
            file.seek(start)
            return _map(file, info.file_size + start)
    folder = writable(cache_root() / "unpacked")
    copy = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (its map outlives it: the disk is free when that goes)
    with copy, archive.open(info) as packed, room(folder, info.file_size):
        while part := packed.read(CHUNK):
            copy.write(part)
        copy.flush()
        copy.seek(0)
        return _map(copy, info.file_size)


def _map(file: IO[bytes], end: int) -> np.ndarray:
    """The array whose header begins at the file's place and which ends before byte `end`."""
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = reader(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    offset, count = file.tell(), int(np.prod(shape))
    if offset + count * dtype.itemsize > end:
        raise ValueError(f"an array of {count * dtype.itemsize:,} bytes in {end - offset:,}")
    if not count:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype, "r", offset, shape, "F" if fortran else "C")  # type: ignore[call-overload,no-any-return]
