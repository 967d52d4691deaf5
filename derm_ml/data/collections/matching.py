"""Which column of a table names the images: values found among the files, with or without folder and suffix."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd

from derm_ml.data.collections.listing import IMAGES
from derm_ml.data.collections.names import IMAGE_COLUMNS, plain

MISSING, SEVERAL = -1, -2
FULL = 50_000  # rows up to which every value of every column is looked up; of more, so many
SUFFIX = r"(?:" + "|".join(sorted(each.replace(".", r"\.") for each in IMAGES)) + r")$"


class FileIndex:
    """Files by what a table may call them.

    Args:
        names: relative, with `/`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        paths = _plain(pd.Series(self.names, dtype=object))
        stems = paths.str.rsplit("/", n=1).str[-1]
        codes, unique = pd.factorize(stems)
        first = np.full(len(unique), SEVERAL, dtype=np.int64)
        counts = np.bincount(codes, minlength=len(unique))
        single = counts[codes] == 1
        first[codes[single]] = np.flatnonzero(single)
        self._index, self._first = pd.Index(unique), first
        self._paths = paths
        shared = np.flatnonzero(~single)
        self._shared: dict[str, list[int]] = {}
        for row in shared:
            self._shared.setdefault(stems.iloc[row], []).append(int(row))

    def __len__(self) -> int:
        return len(self.names)

    def locate(self, values: pd.Series) -> np.ndarray:
        """The file that each value names, int64 [n]; -1: none; -2: several files have that name."""
        if not len(self._index):
            return np.full(len(values), MISSING)
        plain = _plain(values)
        stems = plain.str.rsplit("/", n=1).str[-1]
        found = self._index.get_indexer(pd.Index(stems))
        rows = np.where(found >= 0, self._first[found], MISSING)
        rows[(stems == "").to_numpy()] = MISSING
        for place in np.flatnonzero(rows == SEVERAL):
            rows[place] = self._among(str(values.iloc[place]), plain.iloc[place], self._shared[stems.iloc[place]])
        return rows

    def _among(self, value: str, plain: str, candidates: list[int]) -> int:
        """The one whose path ends like the value; of several the one with its suffix."""
        same = [row for row in candidates if self._paths.iloc[row] == plain]
        same = same or [row for row in candidates if f"/{self._paths.iloc[row]}".endswith(f"/{plain}")]
        ending = value.strip().replace("\\", "/").lower()
        if len(same) > 1:
            exact = [row for row in same if f"/{self.names[row].lower()}".endswith(f"/{ending}")]
            same = exact or same
        return same[0] if len(same) == 1 else SEVERAL


def _plain(values: pd.Series) -> pd.Series:
    """Lower case, composed, with `/`, without an image's suffix."""
    text = values.astype(object).map(lambda each: each if each.isascii() else unicodedata.normalize("NFC", each))
    text = text.str.strip().str.replace("\\", "/", regex=False).str.lower()
    text = text.str.removeprefix("./")
    return text.str.replace(SUFFIX, "", regex=True)


def naming_columns(frame: pd.DataFrame, index: FileIndex, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns whose values name files, and the file of every row; the best first.

    A column counts when it names at least half as many different files as the best one does (ages name `45.jpg` too),
    or when it is called one of images: few cases have a third photograph.
    """
    found: dict[str, tuple[int, np.ndarray]] = {}
    sample = frame if len(frame) <= FULL else frame.iloc[:: len(frame) // FULL]
    for column in columns:
        if (index.locate(sample[column]) >= 0).any():
            rows = index.locate(frame[column])
            distinct = len(np.unique(rows[rows >= 0]))
            found[column] = (distinct, rows)
    best = max((count for count, _ in found.values()), default=0)
    kept = {
        column: each for column, each in found.items() if each[0] * 2 >= best or IMAGE_COLUMNS.search(plain(column))
    }
    return {column: rows for column, (_, rows) in sorted(kept.items(), key=lambda item: -item[1][0])}
