"""Numbers with a legend beside them: a small table that says which class each number is."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from derm_ml.data.collections.choice import Choice, by_value
from derm_ml.data.collections.tables import Table

LONGEST = 1000  # rows of a legend


def with_legend(choice: Choice, tables: Sequence[Table]) -> str:
    """Give numbered classes the names of a legend among these tables; its name, "" where there is none.

    A legend has two columns: one holds every number of the classes once, the other words.
    """
    values = set(choice.values.unique()) - {""}
    if not values or not all(value.removesuffix(".0").isdigit() for value in values):
        return ""
    for table in tables:
        frame = table.frame
        if len(frame.columns) != 2 or len(frame) > LONGEST:
            continue
        for numbers, names in (frame.columns, frame.columns[::-1]):
            known = dict(zip(frame[numbers].str.strip(), frame[names].str.strip(), strict=True))
            if len(known) == len(frame) and _covers(known, values) and _are_words(frame[names]):
                choice.values = _renamed(choice.values, known)
                choice.told += f", named by {table.name}"
                return table.name
    return ""


def _renamed(values: pd.Series, known: dict[str, str]) -> pd.Series:
    return by_value(values, lambda value: known.get(value.removesuffix(".0"), ""))


def _covers(known: dict[str, str], values: set[str]) -> bool:
    return all(known.get(value.removesuffix(".0")) for value in values)


def _are_words(names: pd.Series) -> bool:
    return not names.str.fullmatch(r"[\d.]*").any()
