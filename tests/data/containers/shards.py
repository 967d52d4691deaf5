"""Pictures, and tar and Parquet shards of them, as people publish them."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def member(archive: tarfile.TarFile, name: str, content: bytes = b"", **attributes) -> None:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for key, value in attributes.items():
        setattr(made, key, value)
    archive.addfile(made, io.BytesIO(content))


def tar(path: Path, first: int, count: int) -> Path:
    """Images with a label each: half in .cls, half in .json."""
    with tarfile.open(path, "w") as archive:
        for number in range(first, first + count):
            member(archive, f"{number:05d}.png", png(number))
            if number % 2:
                member(archive, f"{number:05d}.cls", str(number % 4).encode())
            else:
                member(archive, f"{number:05d}.json", json.dumps({"label": number % 4}).encode())
    return path


def parquet(path: Path, first: int, count: int, form: str = "struct") -> Path:
    numbers = range(first, first + count)
    if form == "struct":
        images = pa.array([{"bytes": png(number), "path": f"{number}.png"} for number in numbers])
    elif form == "bytes":
        images = pa.array([png(number) for number in numbers], pa.binary())
    else:
        images = pa.array([list(png(number)) for number in numbers], pa.list_(pa.uint8()))
    table = pa.table({"image": images, "label": [number % 2 for number in numbers], "thumb": [b""] * count})
    features = {"info": {"features": {"label": {"names": ["naevus", "melanoma"], "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), path, row_group_size=3)
    return path
