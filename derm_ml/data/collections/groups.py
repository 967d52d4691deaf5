"""Which images belong together, by a table: the patient before the case, the case before the lesion."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import Choice, ambiguous, column_named, filled_up, refines
from derm_ml.data.collections.names import GROUPS, plain


def find_groups(rows: pd.DataFrame, images: list[str], asked: str) -> Choice | None:
    """The group of every row, "" where none is known; None where no column tells any.

    Args:
        images: the columns that name files: no groups.
        asked: the column that the user named, or `none`; "": to be found.

    A row without a patient takes the patient of its lesion where that has one, else the lesion itself.

    Raises:
        UserError: two columns may be the patient and disagree, or the named one is not there.
    """
    if asked == "none":
        return Choice(pd.Series("", index=rows.index), "none, as you said: each image its own")
    if asked:
        column = column_named(rows, asked, "group", plain)
        return Choice(rows[column], f"column {column}, as you said")
    levels: dict[str, tuple[str, pd.Series]] = {}
    for level, pattern in GROUPS.items():
        found = {
            column: values
            for column in rows.columns
            if not column.startswith(" ") and column not in images and pattern.match(plain(column))
            if ((values := rows[column]) != "").any()
        }
        if found:
            levels[level] = _one(level, filled_up(found))
    if not levels:
        return None
    (first, (column, values)), *finer = levels.items()
    told = [f"column {column}" + f" ({first})" * (first != column)]
    made = _prefixed(values, first if finer else "")
    for level, (column, ids) in finer:
        lacking = (made == "") & (ids != "")
        if not lacking.any():
            continue
        codes, unique = pd.factorize(ids)
        asked_for = np.zeros(len(unique), dtype=bool)
        asked_for[codes[lacking.to_numpy()]] = True
        known = np.flatnonzero((made != "") & asked_for[codes])
        named = made.iloc[known].groupby(codes[known], sort=False)
        owners = named.first().where(named.nunique() == 1, "")
        owner = owners.reindex(codes[lacking.to_numpy()], fill_value="").set_axis(ids.index[lacking])
        made = made.where(~lacking, owner.where(owner != "", _prefixed(ids[lacking], level)))
        told.append(f"where that is empty column {column} ({level})")
    return Choice(made, ", ".join(told))


def by_key(rows: pd.DataFrame, shared: list[str], label: Choice) -> Choice | None:
    """The key that a table and several images share: of a patient or lesion, unless it is one of classes."""
    for column in shared:
        if not refines(label.values, rows[column]):
            return Choice(rows[column], f"column {column}: its value is of several images")
    return None


def _prefixed(ids: pd.Series, level: str) -> pd.Series:
    return ids.where(ids == "", f"{level} " + ids) if level else ids


def _one(level: str, found: dict[str, pd.Series]) -> tuple[str, pd.Series]:
    """Of columns for one level the coarsest: groups must never be torn."""
    names = list(found)
    for column in names:
        if all(refines(found[other], found[column]) for other in names if other != column):
            return column, found[column]
    raise ambiguous("group", found, f"several columns may tell the {level}, and they differ")
