"""Images a second of a first read (read, hash, decode, cache) from loose files, a tar and a Parquet shard, in turns.

    python benchmarks/pool_formats.py [--images 10000] [--side 256] [--turns 2]

The images are drawn synthetic lesions, written as JPEG of quality 90; each read starts with an empty cache of decoded
images. The files themselves are warm: it is the reading that is compared, not the disk.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tarfile
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from derm_ml.data.cache import open_cache
from derm_ml.data.containers import open_container
from derm_ml.data.source import Source
from derm_ml.data.sources import open_source
from derm_ml.data.synthetic import draw


def write(folder: Path, images: int, side: int) -> None:
    """The same JPEG files loose, in one tar, and in one Parquet file."""
    drawn = []
    for number in range(min(images, 50)):
        buffer = io.BytesIO()
        Image.fromarray(draw(number, 0, side, 0)).save(buffer, "JPEG", quality=90)
        drawn.append(buffer.getvalue())
    for name in ("loose", "tar", "parquet"):
        (folder / name).mkdir()
    # A comment makes each content another one, so that all are decoded.
    pool = [
        each[:2] + b"\xff\xfe\x00\x0a%08d" % n + each[2:] for n in range(images) for each in [drawn[n % len(drawn)]]
    ]
    with tarfile.open(folder / "tar" / "pool.tar", "w") as archive:
        for number, content in enumerate(pool):
            (folder / "loose" / f"{number:06d}.jpg").write_bytes(content)
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    table = pa.table({"image": pa.array([{"bytes": content, "path": None} for content in pool])})
    pq.write_table(table, folder / "parquet" / "pool.parquet", row_group_size=1000, compression="NONE")


def opened(path: Path) -> Source:
    return open_container(str(path), labelled=False) or open_source(str(path), labelled=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--turns", type=int, default=2)
    asked = parser.parse_args()
    rates: dict[str, list[float]] = {"loose": [], "tar": [], "parquet": []}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), asked.images, asked.side)
        for _ in range(asked.turns):
            for form, found in rates.items():
                with tempfile.TemporaryDirectory() as cache:
                    os.environ["DERM_ML_CACHE"] = cache
                    started = time.perf_counter()
                    count = len(open_cache(opened(Path(folder) / form), 64).images)
                    found.append(count / (time.perf_counter() - started))
    loose = statistics.median(rates["loose"])
    for form, found in rates.items():
        rate = statistics.median(found)
        print(f"{form}: {rate:,.0f} images/s, {rate / loose:.2f} of loose files")


if __name__ == "__main__":
    main()
