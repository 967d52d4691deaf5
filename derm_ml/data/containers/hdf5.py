"""HDF5: an image a key (ISIC 2024), an array of pictures, or a list of encoded ones; by h5py, an optional extra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm_ml.data.source import COLUMNS, Source
from derm_ml.errors import UserError

LABELS = ("labels", "label", "targets", "target", "y")
IMAGES = ("images", "image", "x", "data", "pixels")
Reader = Callable[[str], bytes | np.ndarray]


def hdf5_images(path: Path) -> tuple[list[str], Reader]:
    """Image ids, and a reader of encoded bytes or uint8 [h, w, 3].

    A file of one value a key has its keys as ids, so that a table may name them; one of a single array has numbers.

    Raises:
        UserError: h5py is missing, the file is damaged, or holds no images.
    """
    file = _open(path)
    dataset = _array(file)
    if dataset is not None:
        ids = [f"{number:07d}" for number in range(len(dataset))]
        return ids, lambda image_id: _content(dataset[int(image_id)], image_id)
    keys = _keys(file)
    if not keys:
        raise UserError(f"data={path}: no images in this HDF5 file: it has {_told(file)}")

    def read(image_id: str) -> bytes | np.ndarray:
        try:
            return _content(file[image_id][()], image_id)
        except (KeyError, RuntimeError) as error:  # h5py's errors of a damaged object
            raise OSError(f"cannot be read from the HDF5 file: {error}") from error

    return keys, read


def hdf5_source(path: Path, *, labelled: bool = True) -> Source:
    """An HDF5 file by itself: labels are those of a dataset of one value an image beside one array of images.

    Raises:
        UserError: as `hdf5_images`, or labels that do not fit the images.
    """
    ids, read = hdf5_images(path)
    file = _open(path)
    labels = [""] * len(ids)
    name = next((name for name in LABELS if name in file), None)
    if labelled and name and _array(file) is not None:
        values = np.asarray(file[name][()])
        if values.shape not in ((len(ids),), (len(ids), 1)):
            raise UserError(
                f"data={path}: {name} has the shape {list(values.shape)}, and there are {len(ids):,} images"
            )
        labels = [value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel().tolist()]
    table = pd.DataFrame({"image_id": ids, "label": labels, "group": "", "split": ""}, dtype=str)
    return Source("hdf5", str(path), table[COLUMNS], read)


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"data={path}: reading HDF5 needs h5py: pip install 'derm-ml[formats]'") from error
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise UserError(f"data={path}: a damaged or cut HDF5 file, or none ({error})") from error


def _array(file: Any) -> Any | None:
    """The one dataset that holds all images: pixels [n, h, w(, 3)], or a list of encoded images."""
    import h5py

    found = {name: each for name, each in file.items() if isinstance(each, h5py.Dataset)} if len(file) <= 64 else {}
    several = {name: each for name, each in found.items() if _many(each, h5py)}
    chosen = [several[name] for name in IMAGES if name in several] or list(several.values())
    # One value a key may be a list of bytes as well: an array of all images is alone, or has a telling name.
    return chosen[0] if len(several) == 1 or any(name in several for name in IMAGES) else None


def _many(dataset: Any, h5py: Any) -> bool:
    if dataset.dtype == np.uint8:
        return dataset.ndim == 4 and dataset.shape[-1] in (1, 3) or dataset.ndim == 3 and dataset.shape[-1] > 4
    kind = h5py.check_vlen_dtype(dataset.dtype)
    return dataset.ndim == 1 and (kind == np.uint8 or dataset.dtype.kind in "VS")


def _keys(file: Any) -> list[str]:
    """Names of root datasets, or of those in groups. Only the first is looked into: there may be 400,000."""
    import h5py

    names = list(file)
    if names and isinstance(file[names[0]], h5py.Dataset):
        return names if _encoded(file[names[0]]) else []
    found: list[str] = []
    file.visititems(lambda name, each: found.append(name) if isinstance(each, h5py.Dataset) else None)
    return found if found and _encoded(file[found[0]]) else []


def _encoded(dataset: Any) -> bool:
    return dataset.dtype.kind in "VSO" or (dataset.dtype == np.uint8 and dataset.ndim in (1, 2, 3))


def _content(value: Any, image_id: str) -> bytes | np.ndarray:
    if isinstance(value, bytes):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "VS" and array.size == 1:
        return array.tobytes()
    if array.dtype != np.uint8:
        raise OSError(f"{image_id} holds {array.dtype} values, no image")
    if array.ndim == 1:
        return array.tobytes()
    if array.ndim == 2 or array.shape[-1] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return array


def _told(file: Any) -> str:
    names = list(file)[:5]
    return ", ".join(f"{name} {getattr(file[name], 'shape', '(group)')}" for name in names) or "nothing"
