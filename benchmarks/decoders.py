"""JPEG to a small square: decoders, scales, and threads against processes, in one run.

    python benchmarks/decoders.py [FOLDER]

FOLDER holds JPEGs (default: HAM10000 in DERM_ML_HAM10000). 200 of them are taken as they are, and written again at
600 x 450 and 3000 x 2000 (20 of them). Prints images/s, and as a ratio to Pillow at full size, of: Pillow at full and
at reduced scale, simplejpeg and torchvision where they are installed, and the project's own `decode_image`; then of
that in 1 and 2 threads and processes. The largest difference in level to Pillow's pixels stands beside each decoder.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from derm_ml.data.decoding import decode_image

SIZE = 64  # px
SCALED = 2 * SIZE
Decoder = Callable[[bytes], np.ndarray]


def pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def pillow_scaled(content: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(content))
    image.draft("RGB", (SCALED, SCALED))
    return np.asarray(image.convert("RGB"))


def own(content: bytes) -> np.ndarray:
    return decode_image(content, (SIZE,)).squares[0]


def decoders() -> dict[str, Decoder]:
    found: dict[str, Decoder] = {"Pillow": pillow, "Pillow, scaled": pillow_scaled}
    try:
        import simplejpeg

        found["simplejpeg"] = lambda content: simplejpeg.decode_jpeg(content, fastdct=False, fastupsample=False)
        found["simplejpeg, scaled"] = lambda content: simplejpeg.decode_jpeg(
            content, min_height=SCALED, min_width=SCALED, min_factor=1, fastdct=False, fastupsample=False
        )
    except ImportError:
        print("simplejpeg: not installed")
    try:
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg

        def torchvision(content: bytes) -> np.ndarray:
            read = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.RGB)
            return read.permute(1, 2, 0).numpy()

        torchvision(resized(Image.new("RGB", (32, 32)), (32, 32)))
        found["torchvision"] = torchvision
    except (ImportError, RuntimeError) as error:
        print(f"torchvision: {error}")
    return found | {f"decode_image, {SIZE} px and whole": own}


def resized(image: Image.Image, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def seconds(decode: Decoder, contents: list[bytes], rounds: int = 3) -> float:
    """CPU seconds of the fastest round: others on the machine do not count."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        for content in contents:
            decode(content)
        taken.append(time.process_time() - start)
    return min(taken)


def compare(name: str, contents: list[bytes]) -> None:
    print(f"\n{name}: {len(contents)} JPEGs of {sum(map(len, contents)) // len(contents):,} bytes")
    base = 0.0
    for label, decode in decoders().items():
        rate = len(contents) / seconds(decode, contents)
        base = base or rate
        made, reference = decode(contents[0]), pillow(contents[0])
        off = np.abs(made.astype(int) - reference).max() if made.shape == reference.shape else None
        same = "" if off is None else f"  largest difference {off}"
        print(f"  {label:32s} {rate:8.0f} /s of one CPU  {rate / base:5.2f}{same}")


def workers(contents: list[bytes]) -> None:
    print(f"\ndecode_image in workers, wall-clock, {os.cpu_count()} CPUs, {len(contents)} files")
    base = 0.0
    for label, pool in {
        "1 thread": ThreadPoolExecutor(1),
        "2 threads": ThreadPoolExecutor(2),
        "4 threads": ThreadPoolExecutor(4),
        "1 process": ProcessPoolExecutor(1, get_context("forkserver")),
        "2 processes": ProcessPoolExecutor(2, get_context("forkserver")),
    }.items():
        rate = best_rate(pool, contents)
        base = base or rate
        print(f"  {label:32s} {rate:8.0f} /s             {rate / base:5.2f}")


def best_rate(pool: Executor, contents: list[bytes]) -> float:
    with pool:
        list(pool.map(own, contents[:64]))  # started, imported
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            list(pool.map(own, contents, chunksize=32))
            taken.append(time.perf_counter() - start)
    return len(contents) / min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=os.environ.get("DERM_ML_HAM10000", "../shared/data/ham10000"))
    folder = Path(parser.parse_args().folder)
    paths = sorted(folder.rglob("*.jpg"))
    contents = [path.read_bytes() for path in paths[:: max(1, len(paths) // 200)][:200]]
    images = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents[:60]]
    medium = [resized(image, (600, 450)) for image in images]
    compare("as they are", contents)
    compare("600 x 450", medium)
    compare("3000 x 2000", [resized(image, (3000, 2000)) for image in images[:6]])
    workers(medium * 10)


if __name__ == "__main__":
    main()
