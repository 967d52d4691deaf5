"""A folder of pictures as a source whose reads are counted."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from derm_ml.data.cache import open_cache
from derm_ml.data.cache.place import cache_root
from derm_ml.data.source import COLUMNS, Source


def photograph(seed: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


class Counting:
    """A folder as a source, whose reads are counted."""

    def __init__(self, root: Path) -> None:
        self.root, self.reads = root, Counter()

    def __call__(self, image_id: str) -> bytes:
        self.reads[image_id] += 1
        return (self.root / image_id).read_bytes()

    def source(self) -> Source:
        names = sorted(path.name for path in self.root.iterdir())
        records = pd.DataFrame([(name, "", "", "") for name in names], columns=COLUMNS, dtype=str)
        return Source("folder", str(self.root), records, self, path=lambda name: self.root / name)

    def open(self, size: int = 32):
        self.reads.clear()
        return open_cache(self.source(), size)


def made(root: Path | None = None) -> list[str]:
    """The caches that are there."""
    return sorted(path.name for path in ((root or cache_root()) / "images").iterdir() if path.name[0] != ".")
