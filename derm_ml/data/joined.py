"""Images of two collections as one array: what unlabelled images join pretraining by."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from derm_ml.data.dataset import ImageDataset
from derm_ml.data.duplicates import near_pairs


class Joined:
    """The first collection's rows, then the second's; indexing by row numbers picks from both memory maps."""

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self._first, self._second, self._border = first, second, len(first)
        self.shape = (len(self), *first.shape[1:])

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        own = rows < self._border
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        out[own] = self._first[rows[own]]
        out[~own] = self._second[rows[~own] - self._border]
        return out


def unseen_rows(data: ImageDataset, extra: ImageDataset) -> tuple[np.ndarray, dict[str, int]]:
    """Rows of `extra` that may be trained on beside `data`, and why the others are left out, with counts.

    Left out are images that the data has too, and near copies of its validation and test images.
    """
    reasons = pd.Series("", index=extra.table.index)
    reasons[extra.table["content"].isin(set(data.table["content"]))] = "also in the data itself"
    held_out = np.sort(np.concatenate([data.rows("val"), data.rows("test")]))
    candidates = np.flatnonzero(reasons == "")
    assert data.descriptors is not None
    assert extra.descriptors is not None
    rows = np.concatenate([data.descriptors[held_out], extra.descriptors[candidates]])
    for _, j in near_pairs(rows, between=len(held_out)):
        reasons.iloc[candidates[j - len(held_out)]] = "near copies of validation or test images"
    return np.flatnonzero(reasons == ""), dict(Counter(reasons[reasons != ""]))
