"""Parquet shards with encoded images in a column: bytes, Hugging Face's {bytes, path}, or lists of bytes."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from derm_ml.data.collections.groups import find_groups
from derm_ml.data.collections.labels import find_label
from derm_ml.data.collections.layouts import recognise
from derm_ml.data.collections.metadata import find_metadata
from derm_ml.data.collections.naming import SPLIT
from derm_ml.data.collections.splits import find_split
from derm_ml.data.containers.asked import as_asked
from derm_ml.data.containers.blobs import Blob, split_of
from derm_ml.data.missing import cleaned
from derm_ml.data.source import COLUMNS, Reading, Source
from derm_ml.errors import UserError

IMAGE_NAMES = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "bytes", "content", "image_bytes")
IDS = " id"  # a leading blank keeps it apart from the shards' own columns
KEPT_GROUPS = 2  # row groups in memory: images are asked for in their order


def parquet_source(spec: str, blobs: list[Blob], labelled: bool, reading: Reading) -> Source:
    """Images of Parquet shards, named SHARD/ROW; their other columns are read as a table's are.

    Raises:
        UserError: no shard can be read, none has a column of images, or several columns may be the label.
    """
    shards, refused, parts = {}, [], []
    column = ""
    for blob in blobs:
        try:
            shard = _Shard(blob, column)
            part = shard.table() if labelled else pd.DataFrame(index=range(shard.count))
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are of these kinds
            refused.append((blob.name, " ".join(f"damaged or cut Parquet, or without images: {error}".split())[:300]))
            continue
        column = shard.column
        shards[blob.name] = shard
        part[SPLIT] = split_of(blob.name) if labelled else ""
        part[IDS] = [f"{blob.name}/{row:07d}" for row in range(shard.count)]
        parts.append(part)
    if not parts or not sum(map(len, parts)):
        raise UserError(f"data={spec}: no images: {refused[0][0]}: {refused[0][1] if refused else 'no rows'}")

    def read(image_id: str) -> bytes:
        name, _, row = image_id.rpartition("/")
        return shards[name].read(int(row))

    rows = pd.concat(parts, ignore_index=True).fillna("")
    told = f"column {column} of {len(shards):,} Parquet shards"
    return _read_as_table(Source("parquet", spec, rows, read, tuple(refused), choices=(("images", told),)), reading)


def _read_as_table(source: Source, reading: Reading) -> Source:
    """Labels, groups, splits and what else is known, from the columns beside the images.

    Args:
        source: its records are the rows, their columns text.
    """
    rows = source.records
    ids = rows[IDS]
    label = None if reading.label == "none" else find_label(rows, [], recognise(rows.columns), reading.label)
    group = find_groups(rows, [], reading.group)
    split = find_split(rows, pd.Series("", index=rows.index), reading.split)
    found = {"label": label, "group": group, "split": split}
    values = {what: choice.values if choice else "" for what, choice in found.items()}
    records = pd.DataFrame({"image_id": ids, **values}, dtype="str")[COLUMNS]
    clinical, _ = find_metadata(rows, set())
    lost = label.lost if label else {}
    kept = ~rows.index.isin(list(lost))
    source = replace(
        source,
        records=records[kept].reset_index(drop=True),
        refused=(*source.refused, *((ids[row], why) for row, why in lost.items())),
        clinical=clinical.set_index(ids)[kept] if len(clinical.columns) else None,
        warnings=tuple(warning for choice in found.values() if choice for warning in choice.warnings),
    )
    told = {what: choice.told for what, choice in found.items() if choice}
    return as_asked(source, Reading(classes=reading.classes), **told)


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

    def table(self) -> pd.DataFrame:
        """The columns beside the images as text, "" where there is none; of Hugging Face's labels the names."""
        columns = [field.name for field in self._schema if field.name != self.column and _is_plain(field.type)]
        with self._opened() as file:
            read = file.read(columns=columns)
        found = {}
        for column in columns:
            classes = _class_names(self._schema, column)
            values = read.column(column).to_pylist()
            found[column] = ["" if value is None else _name(value, classes) for value in values]
        frame = pd.DataFrame(found, dtype="str", index=range(self.count))
        return frame.apply(cleaned) if columns else frame


def _name(value: Any, classes: list[str]) -> str:
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return "" if value == -1 and classes else " ".join(str(value).split())


def _is_plain(kind: Any) -> bool:
    import pyarrow.types as types

    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


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
