"""A table a class: `melanoma.csv` and `nevus.csv` list images, and no column tells the diagnosis."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import Choice, ambiguous, quoted
from derm_ml.data.collections.folders import KNOWN, looks_like_ids
from derm_ml.data.collections.names import HIERARCHY, LABELS, names_diagnosis, plain, says_nothing, split_of
from derm_ml.data.collections.naming import FILE
from derm_ml.errors import UserError, give

ASKED = "table"  # label=table


def by_table_names(
    rows: pd.DataFrame, listed: Mapping[str, np.ndarray], headers: Mapping[str, Sequence[str]], *, asked: bool
) -> Choice | None:
    """The name of the table that an image is in; None where names of tables tell nothing, or columns tell a label.

    Args:
        listed: table to the files that it names. headers: table to its columns.
        asked: the user says that they are the classes.

    Raises:
        UserError: they may be the classes, but an image is in two of them, or their columns differ; or whether they
            are cannot be told.
    """
    names = _distinct_parts(list(listed))
    if not asked and (len(names) < 2 or any(map(split_of, listed)) or any(map(says_nothing, names.values()))):
        return None
    if not asked and (looks_like_ids(pd.Series([*names.values()])) or any(map(_has_label, headers.values()))):
        return None
    sure = asked or sum(map(names_diagnosis, names.values())) > KNOWN * len(names)
    for one, other in combinations(listed, 2) if sure else ():
        both, differ = np.intersect1d(listed[one], listed[other]), sorted(set(headers[one]) ^ set(headers[other]))
        if not len(both) and (asked or not differ):
            continue
        why = f"{len(both):,} of the images are in both: take them out of one"
        if not len(both):
            why = f"the column {differ[0]} is in one of them alone: give both the same columns"
        settle = give("label=COLUMN", "label=none") if len(both) else give("label=table", "label=COLUMN")
        raise UserError(f"{one} and {other} seem to list the images of a class each, but {why}, or give {settle}")
    values = pd.Series("", index=rows.index, dtype=object)
    for table, files in listed.items():
        values[rows[FILE].isin(files)] = names[table]
    if not sure:
        why = "no column tells a diagnosis, and names of tables may"
        raise ambiguous("label", {"tables": values}, why, give("label=table", "label=none"))
    return Choice(values, f"a table a class, by their names ({quoted(values)})")


def _distinct_parts(tables: Sequence[str]) -> dict[str, str]:
    """The tables' names without suffix, and without the words that all of them begin or end with."""
    stems = {table: Path(table).stem for table in tables}
    if len(stems) < 2:
        return stems
    first = len(os.path.commonprefix([*stems.values()]))
    last = len(os.path.commonprefix([stem[::-1] for stem in stems.values()]))
    whole = next(iter(stems.values()))
    first = max((n for n in range(first + 1) if n == 0 or whole[n - 1] in "_- ."), default=0)
    last = max((n for n in range(last + 1) if n == 0 or whole[len(whole) - n] in "_- ."), default=0)
    made = {table: stem[first : len(stem) - last] for table, stem in stems.items()}
    return made if all(made.values()) else stems


def _has_label(header: Sequence[str]) -> bool:
    return any(plain(c) in tier for tier in LABELS for c in header) or any(HIERARCHY.match(plain(c)) for c in header)
