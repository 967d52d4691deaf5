"""Parquet shards with encoded images in a column: bytes, Hugging Face's {bytes, path}, or lists of bytes."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from derm_ml.data.containers.blobs import Blob, split_of
from derm_ml.data.source import COLUMNS, Source
from derm_ml.errors import UserError

IMAGE_NAMES = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "bytes", "content", "image_bytes")
LABEL_NAMES = ("label", "labels", "cls", "class", "diagnosis", "dx", "target")
KEPT_GROUPS = 2  # row groups in memory: images are asked for in their order


def parquet_source(spec: str, blobs: list[Blob], labelled: bool) -> Source:
    """Images of Parquet shards, named SHARD/ROW; labels of a column named as such, in Hugging Face's class names.

    Raises:
        UserError: no shard can be read, or none has a column of images.
    """
    shards, refused, parts = {}, [], []
    column = ""
    for blob in blobs:
        try:
            shard = _Shard(blob, column)
            labels = shard.labels() if labelled else [""] * shard.count
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are of these kinds
            refused.append((blob.name, " ".join(f"damaged or cut Parquet, or without images: {error}".split())[:300]))
            continue
        column = shard.column
        shards[blob.name] = shard
        split = split_of(blob.name) if labelled else ""
        ids = [f"{blob.name}/{row:07d}" for row in range(shard.count)]
        parts.append(pd.DataFrame({"image_id": ids, "label": labels, "group": "", "split": split}, dtype=str))
    if not parts or not sum(map(len, parts)):
        raise UserError(f"data={spec}: no images: {refused[0][0]}: {refused[0][1] if refused else 'no rows'}")

    def read(image_id: str) -> bytes:
        name, _, row = image_id.rpartition("/")
        return shards[name].read(int(row))

    records = pd.concat(parts, ignore_index=True)[COLUMNS]
    told = f"column {column} of {len(shards):,} Parquet shards"
    return Source("parquet", spec, records, read, tuple(refused), choices=(("images", told),))


class _Shard:
    """A shard's footer; it is opened for each read: thousands of shards would exhaust a process's open files."""

    def __init__(self, blob: Blob, column: str) -> None:
        self._blob, self._meta = blob, None
        with self._opened() as file:
            self._meta, self._schema = file.metadata, file.schema_arrow
        self.column = _image_column(self._schema, column)
        self.count = int(self._meta.num_rows)
        self._ends = np.cumsum([self._meta.row_group(group).num_rows for group in range(self._meta.num_row_groups)])
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with self._blob.open() as raw, pq.ParquetFile(raw, metadata=self._meta) as file:
            yield file

    def read(self, row: int) -> bytes:
        """The encoded image of a row. Raises OSError where there is none."""
        group = int(np.searchsorted(self._ends, row, side="right"))
        with self._lock:  # a row group is decompressed once for its many images
            values = self._kept.get(group)
            if values is None:
                with self._opened() as file:
                    values = file.read_row_group(group, columns=[self.column]).column(0).combine_chunks()
                while len(self._kept) >= KEPT_GROUPS:
                    self._kept.popitem(last=False)
                self._kept[group] = values
        value = values[row - (int(self._ends[group - 1]) if group else 0)]
        found = value["bytes"] if "struct" in str(value.type) and value.is_valid else value
        if not found.is_valid:
            raise OSError("no image in this row")
        if "list" in str(found.type):
            return np.asarray(found.values).astype(np.uint8).tobytes()
        return bytes(found.as_py())

    def labels(self) -> list[str]:
        """A label a row, '' where there is none."""
        names = {name.lower(): name for name in self._schema.names}
        column = next((names[name] for name in LABEL_NAMES if name in names), None)
        if column is None or column == self.column:
            return [""] * self.count
        with self._opened() as file:
            values = file.read(columns=[column]).column(0).to_pylist()
        classes = _class_names(self._schema, column)
        return ["" if value is None else _name(value, classes) for value in values]


def _name(value: Any, classes: list[str]) -> str:
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return "" if value == -1 and classes else " ".join(str(value).split())


def _class_names(schema: Any, column: str) -> list[str]:
    """Hugging Face's names of a ClassLabel column; none where the file says nothing."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []


def _image_column(schema: Any, before: str) -> str:
    """The column that can hold encoded images, by its type and then by its name.

    Raises:
        ValueError: there is none, or several without a telling name.
    """
    import pyarrow.types as types

    def holds(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(kind.field(at).name == "bytes" and holds(kind.field(at).type) for at in range(kind.num_fields))
        if types.is_list(kind) or types.is_large_list(kind):
            return bool(types.is_integer(kind.value_type))
        return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))

    found = [field.name for field in schema if holds(field.type)]
    if before in found:
        return before
    telling = [each for name in IMAGE_NAMES for each in found if each.lower() == name]
    chosen = telling[:1] or (found if len(found) == 1 else [])
    if not chosen:
        raise ValueError(f"no one column holds encoded images (columns: {', '.join(schema.names)})")
    return str(chosen[0])
