"""Text that tables write where nothing is known: `NA`, `unknown`, `-` and the like are no value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Compared in lower case and stripped. `UNK` is not here: ISIC 2019 names a class so. Nor is `other`: it is an answer.
MISSING = (
    *("", "nan", "<na>", "none", "null", "nil", "na", "n/a", "n.a.", "#n/a", "nat"),
    *("unknown", "undefined", "not available", "not specified", "not known", "missing"),
    *("?", "-", "--", "---", ".", "\N{EN DASH}", "\N{EM DASH}"),
)
TEXT = pd.StringDtype(na_value=np.nan)


def is_missing(series: pd.Series) -> pd.Series:
    """Whether each value, [n] of any kind, is text for missing or no value at all: bool [n], the same index."""
    return cleaned(series) == ""


def cleaned(series: pd.Series) -> pd.Series:
    """The values as text without white space around them, "" where they are text for missing; the same index."""
    text = pc.fill_null(pc.utf8_trim_whitespace(as_arrow(series)), "")
    known = pc.if_else(pc.is_in(pc.utf8_lower(text), value_set=pa.array(MISSING, type=text.type)), "", text)
    made = pa.chunked_array([known]).to_pandas(types_mapper=lambda _: TEXT)
    return pd.Series(made.array, index=series.index, name=series.name)


def as_arrow(series: pd.Series) -> pa.Array:
    """The values as one array of Arrow's strings."""
    values = pa.array(series.astype("str").array)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
