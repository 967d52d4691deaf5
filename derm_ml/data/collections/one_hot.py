"""One column a class: which of them is 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import Choice, ambiguous, quoted
from derm_ml.data.collections.names import LABELS, plain
from derm_ml.errors import give

ONE_HOT = 0.98  # of the rows of one-hot columns that must name one class
EXCLUSIVE = 0.9  # of the rows in which columns of 0 to 1 add up to no more than 1
TRUTHS = {"True": "1", "False": "0", "true": "1", "false": "0", "TRUE": "1", "FALSE": "0"}


def find_one_hot(rows: pd.DataFrame, candidates: dict[str, pd.Series]) -> list[str]:
    """Neighbouring columns of 0 and 1 (or shares) of which one is 1 in nearly every row."""
    blocks: list[list[str]] = [[]]
    for column in rows.columns:
        values = candidates.get(column)
        if values is not None and values[values != ""].isin(["0", "1", "0.0", "1.0", "0.", "1.", *TRUTHS]).all():
            blocks[-1].append(column)
        elif blocks[-1]:
            blocks.append([])
    for block in sorted(blocks, key=len, reverse=True):
        if len(block) > 1:
            numbers = _numbers(rows, block)
            filled = ~np.isnan(numbers).any(axis=1)
            if filled.any() and (numbers[filled].sum(axis=1) == 1).mean() >= ONE_HOT:
                return block
    return []


def from_one_hot(rows: pd.DataFrame, block: list[str]) -> Choice:
    numbers = np.nan_to_num(_numbers(rows, block))
    total = numbers.sum(axis=1)
    names = np.array(block, dtype=object)
    labels = pd.Series(np.where(total == 1, names[numbers.argmax(axis=1)], ""), index=rows.index, dtype=object)
    choice = Choice(labels, f"the column that is 1 of {', '.join(block)} ({quoted(labels)})")
    choice.lost = {
        int(row): "several classes at once: " + ", ".join(names[numbers[row] > 0]) for row in np.flatnonzero(total > 1)
    }
    empty = [name for name in block if not (labels == name).any()]
    if empty:
        choice.warnings.append(f"no image is of the class{'es' * (len(empty) > 1)} {', '.join(empty)}")
    return choice


def refuse_parts(rows: pd.DataFrame, candidates: dict[str, pd.Series], single: Choice) -> None:
    """A column called `melanoma` among others of 0 to 1 that exclude each other: alone it is not the diagnosis.

    Raises:
        UserError: so it is; with the columns.
    """
    if plain(single.column) not in LABELS[2]:
        return
    numbers = pd.DataFrame(_numbers(rows, [*candidates]), columns=[*candidates])
    parts = [c for c in candidates if numbers[c].notna().all() and numbers[c].between(0, 1).all()]
    if single.column in parts and len(parts) > 1 and (numbers[parts].sum(axis=1) < 1.01).mean() > EXCLUSIVE:
        why = "columns of 0 to 1 exclude each other, and do not name one class a row"
        raise ambiguous("label", {c: candidates[c] for c in parts}, why, give(f"label={single.column}"))


def _numbers(rows: pd.DataFrame, block: list[str]) -> np.ndarray:
    numbers = rows[block].replace(TRUTHS).apply(pd.to_numeric, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64))
