"""Which reader a container gets, by its suffix."""

from __future__ import annotations

from pathlib import Path

from derm_ml.data.containers.asked import as_asked
from derm_ml.data.containers.blobs import find_blobs, suffix
from derm_ml.data.source import Reading, Source
from derm_ml.errors import UserError

HDF5 = {".h5", ".hdf5", ".hdf"}


def open_container(spec: str, labelled: bool = True, reading: Reading | None = None) -> Source | None:
    """The images of a file, of shards in a folder, of a pattern (`shard-{0000..0012}.tar`) or of `s3://bucket/prefix`.

    Args:
        reading: what the user settles of it; without labels nothing is settled.

    Returns:
        None where `spec` is none of these: a folder with anything beside shards, a table, a word.

    Raises:
        UserError: it is a container, but damaged, of another shape, its library is missing, or it has not what is
            asked for.
    """
    reading = reading if labelled and reading else Reading()
    path = Path(spec).expanduser()
    if path.is_file() and path.suffix.lower() == ".npz":
        from derm_ml.data.containers.npz import medmnist_source

        return as_asked(medmnist_source(path), reading, label="the file's labels", split="the file's arrays")
    if path.is_file() and path.suffix.lower() in HDF5:
        from derm_ml.data.containers.hdf5 import hdf5_source

        return as_asked(hdf5_source(path, labelled=labelled), reading, label="a dataset beside the images")
    blobs = find_blobs(spec)
    if blobs is None:
        return None
    kinds = {suffix(blob.name) for blob in blobs}
    if len(kinds) > 1:
        raise UserError(f"data={spec}: holds {' and '.join(sorted(kinds))} shards: give those of one kind")
    if kinds == {".parquet"}:
        from derm_ml.data.containers.parquet import parquet_source

        return parquet_source(spec, blobs, labelled, reading)
    from derm_ml.data.containers.tar import tar_source

    labels = "KEY.cls, or label of KEY.json, beside each image"
    return as_asked(tar_source(spec, blobs, labelled), reading, label=labels, split="the shards' names")
