"""Columns that nothing was read from: named, since one of them may be the patient."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from derm_ml.data.collections.names import NO_COLUMN, plain

NAMED = 40  # columns that are listed
OFTEN = (1.2, 20.0)  # images a value of a column that may be of patients


def unread_columns(rows: pd.DataFrame, read: Iterable[str], told: str) -> list[str]:
    """The tables' columns that were taken for nothing.

    Args:
        read: columns that were taken. told: what was said of the others: a column that it names was taken, too.
    """
    taken = set(read)
    return [
        column
        for column in rows.columns
        if not column.startswith(" ") and column not in taken and f"column {column}" not in told
        if not NO_COLUMN.match(plain(column)) and (rows[column] != "").any()
    ]


def listed(columns: list[str]) -> str:
    """Their names, the first of many."""
    more = f", and {len(columns) - NAMED:,} more" if len(columns) > NAMED else ""
    return ", ".join(columns[:NAMED]) + more


def may_be_patients(rows: pd.DataFrame, columns: list[str], labels: pd.Series) -> list[str]:
    """Of these columns those whose values are each of a few images, as patients are, and of one diagnosis mostly."""
    found = []
    for column in columns:
        values = rows[column]
        filled = values[values != ""]
        distinct = filled.nunique()
        if len(filled) < 0.5 * len(values) or distinct < 4:
            continue
        if OFTEN[0] <= len(filled) / distinct <= OFTEN[1] and _identifies(filled, labels[filled.index]):
            found.append(column)
    return found


def _identifies(values: pd.Series, labels: pd.Series) -> bool:
    """Whether most values that are there again have one label: ages and dates do not."""
    again = values.duplicated(keep=False) & (labels != "")
    if not again.any() or not values.str.contains(r"\d|[^\W\d]{2}", regex=True).all():
        return False
    one = labels[again].groupby(values[again]).nunique() == 1
    return bool(one.mean() > 0.9) and labels[again].nunique() > 1
