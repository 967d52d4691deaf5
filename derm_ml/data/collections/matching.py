"""Which column of a table names the images: values found among the files, with or without folder and suffix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from derm_ml.data.collections.listing import IMAGES
from derm_ml.data.collections.names import IMAGE_COLUMNS, plain
from derm_ml.errors import printable

MISSING, SEVERAL = -1, -2
FULL = 50_000  # rows up to which every value of every column is looked up; of more, so many
FEW = 0.25  # values to files, below which the values are hashed and the files looked up among them


class FileIndex:
    """Files by what a table may call them.

    Args:
        names: relative, with `/`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._paths = _plain(pa.array(map(printable, self.names), pa.large_string(), size=len(self.names)))
        encoded = pc.dictionary_encode(_stems(self._paths))
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        self._stems = encoded.dictionary
        counts = np.bincount(codes, minlength=len(self._stems))
        self._rows = np.full(len(self._stems), SEVERAL, dtype=np.int64)
        single = counts[codes] == 1
        self._rows[codes[single]] = np.flatnonzero(single)
        self._shared: dict[str, list[int]] = {}
        for row in np.flatnonzero(~single):
            self._shared.setdefault(self._stems[int(codes[row])].as_py(), []).append(int(row))

    def __len__(self) -> int:
        return len(self.names)

    def locate(self, values: pd.Series) -> np.ndarray:
        """The file that each value names, int64 [n]; -1: none; -2: several files have that name."""
        if not len(self._stems) or not len(values):
            return np.full(len(values), MISSING)
        paths = _plain(_arrow(values))
        stems = _stems(paths)
        found = self._find(stems)
        rows = np.where(found >= 0, self._rows[found], MISSING)
        rows[pc.equal(stems, "").to_numpy(zero_copy_only=False)] = MISSING
        for place in np.flatnonzero(rows == SEVERAL):
            shared = self._shared[stems[int(place)].as_py()]
            rows[place] = self._among(str(values.iloc[place]), paths[int(place)].as_py(), shared)
        return rows

    def _find(self, stems: pa.Array) -> np.ndarray:
        """The place of each in the index's own stems, -1 for none. The fewer of the two are hashed."""
        if len(stems) > FEW * len(self._stems):
            return _numbers(pc.index_in(stems, value_set=self._stems))
        few = pc.dictionary_encode(stems)
        theirs = _numbers(pc.index_in(self._stems, value_set=few.dictionary))
        known = np.flatnonzero(theirs >= 0)
        places = np.full(len(few.dictionary), -1, dtype=np.int64)
        places[theirs[known]] = known
        return np.asarray(places[_numbers(few.indices)])

    def _among(self, value: str, path: str, candidates: list[int]) -> int:
        """The one whose path ends like the value; of several the one with its suffix."""
        theirs = {row: self._paths[row].as_py() for row in candidates}
        same = [row for row in candidates if theirs[row] == path]
        same = same or [row for row in candidates if f"/{theirs[row]}".endswith(f"/{path}")]
        if len(same) > 1:
            ending = value.strip().replace("\\", "/").lower()
            exact = [row for row in same if f"/{self.names[row].lower()}".endswith(f"/{ending}")]
            same = exact or same
        return same[0] if len(same) == 1 else SEVERAL


def _plain(values: pa.Array) -> pa.Array:
    """Lower case, composed, with `/`, without an image's suffix."""
    text = pc.utf8_lower(pc.utf8_trim_whitespace(pc.utf8_normalize(values, form="NFC")))
    text = pc.replace_substring(text, "\\", "/")
    if pc.any(pc.starts_with(text, "./")).as_py():
        text = pc.replace_substring_regex(text, r"^(\./)+", "")
    done = pa.nulls(len(text), pa.bool_()).fill_null(False)
    for suffix in sorted(IMAGES):  # one by one: a third of the time of a pattern of them all
        ends = pc.and_not(pc.ends_with(text, suffix), done)
        if pc.any(ends).as_py():
            text = pc.if_else(ends, pc.utf8_slice_codeunits(text, 0, -len(suffix)), text)
            done = pc.or_(done, ends)
    return text


def _numbers(codes: pa.Array) -> np.ndarray:
    """int64 [n], -1 for null."""
    return np.asarray(codes.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _arrow(values: pd.Series) -> pa.Array:
    """The values as one array of Arrow's strings."""
    text = pa.array(values.astype("str").array)
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def _stems(paths: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(paths, r"^.*/", "")


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
            named = np.zeros(len(index), dtype=bool)
            named[rows[rows >= 0]] = True
            found[column] = (int(named.sum()), rows)
    best = max((count for count, _ in found.values()), default=0)
    kept = {
        column: each for column, each in found.items() if each[0] * 2 >= best or IMAGE_COLUMNS.search(plain(column))
    }
    return {column: rows for column, (_, rows) in sorted(kept.items(), key=lambda item: -item[1][0])}
