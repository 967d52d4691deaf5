"""Text that tables write where nothing is known: `NA`, `unknown`, `-` and the like are no value."""

from __future__ import annotations

import pandas as pd

# Compared in lower case and stripped. `UNK` is not here: ISIC 2019 names a class so. Nor is `other`: it is an answer.
MISSING = (
    *("", "nan", "<na>", "none", "null", "nil", "na", "n/a", "n.a.", "#n/a", "nat"),
    *(
        "k.a.",
        "k. a.",
        "keine angabe",
        "unbekannt",
        "inconnu",
        "desconocido",
        "desconhecido",
        "sconosciuto",
        "s/d",
        "n.d.",
    ),
    *("not recorded", "unspecified", "not stated"),
    *("unknown", "undefined", "not available", "not specified", "not known", "missing"),
    *("?", "-", "--", "---", ".", "\N{EN DASH}", "\N{EM DASH}"),
)


def is_missing(series: pd.Series) -> pd.Series:
    """Whether each value, [n] of any kind, is text for missing or no value at all: bool [n], the same index."""
    return cleaned(series) == ""


def cleaned(series: pd.Series) -> pd.Series:
    """The values as text without white space around them, "" where they are text for missing; the same index."""
    text = series.astype("str").fillna("").str.strip()
    return text.where(~text.str.lower().isin(MISSING), "")
