"""Near duplicates of a set of contents, found once: they do not depend on the size that is trained on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from derm_ml.data.cache.describing import pairs
from derm_ml.data.cache.place import cache_root, make_folder

FORMAT = 3  # raise it when descriptors or the search change


def compared(rows: list[str], descriptors: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows (i < j) that are nearly the same picture: those that were found before, or found now.

    Args:
        rows: the content digest of each row. descriptors: [n, ...], of the same rows.
    """
    order = np.argsort(np.array(rows, dtype=np.str_)) if rows else np.empty(0, np.int64)
    key = hashlib.sha256(repr((FORMAT, descriptors.shape[1:], sorted(rows))).encode()).hexdigest()[:32]
    kept = cache_root() / "pairs" / f"{key}.npy"
    found = _kept(kept, len(rows))
    if found is None:
        place = np.empty(len(rows), np.int64)
        place[order] = np.arange(len(rows))
        found = place[np.array(pairs(descriptors), dtype=np.int64).reshape(-1, 2)]
        _keep(kept, found)
    return sorted((int(min(pair)), int(max(pair))) for pair in order[found].tolist())


def _kept(path: Path, count: int) -> np.ndarray | None:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    sound = found.ndim == 2 and found.shape[1] == 2 and found.dtype == np.int64
    return found if sound and (not len(found) or 0 <= found.min() <= found.max() < count) else None


def _keep(path: Path, found: np.ndarray) -> None:
    """Whole or not at all; what cannot be kept is found again another time."""
    try:
        make_folder(path.parent)
        building = path.with_name(f".{path.name}-{os.getpid()}")
        with building.open("wb") as file:
            np.save(file, found)
        building.replace(path)
    except OSError:
        return
