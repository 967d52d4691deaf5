"""Which reader a container gets, by its suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from derm_ml.data.containers.blobs import Blob, find_blobs, suffix
from derm_ml.data.source import Source
from derm_ml.errors import UserError

HDF5 = {".h5", ".hdf5", ".hdf"}


def open_container(spec: str, labelled: bool = True) -> Source | None:
    """The images of a file, of shards in a folder, of a pattern (`shard-{0000..0012}.tar`) or of `s3://bucket/prefix`.

    Returns:
        None where `spec` is none of these: a folder with anything beside shards, a table, a word.

    Raises:
        UserError: it is a container, but damaged, of another shape, or its library is missing.
    """
    path = Path(spec).expanduser()
    if path.is_file() and path.suffix.lower() == ".npz":
        from derm_ml.data.containers.npz import medmnist_source

        return medmnist_source(path)
    if path.is_file() and path.suffix.lower() in HDF5:
        from derm_ml.data.containers.hdf5 import hdf5_source

        return hdf5_source(path, labelled=labelled)
    blobs = find_blobs(spec)
    if blobs is None:
        return None
    kinds = {suffix(blob.name) for blob in blobs}
    if len(kinds) > 1:
        raise UserError(f"data={spec}: holds {' and '.join(sorted(kinds))} shards: give those of one kind")
    return _shards(kinds.pop())(spec, blobs, labelled)


def _shards(kind: str) -> Callable[[str, list[Blob], bool], Source]:
    if kind == ".parquet":
        from derm_ml.data.containers.parquet import parquet_source

        return parquet_source
    from derm_ml.data.containers.tar import tar_source

    return tar_source
