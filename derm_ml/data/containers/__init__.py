"""Collections that are one file or shards of many images: MedMNIST, HDF5, WebDataset tar, Parquet; from disk or S3."""

from derm_ml.data.containers.registry import open_container

__all__ = ["open_container"]
