"""One column a class: which of them is 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import Choice, ambiguous, quoted
from derm_ml.data.collections.names import LABELS, names_diagnosis, plain
from derm_ml.errors import give

ONE_HOT = 0.98  # of the rows of one-hot columns that must name one class
EXCLUSIVE = 0.9  # of the rows in which columns of 0 to 1 add up to no more than 1
NO_CLASSES = frozenset({"male", "female", "man", "woman", "left", "right", "adult", "child", "biopsied", "excised"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRUE = _words("1 1.0 1. true yes y ja j oui o si s\u00ed sim t x + positive pos present checked")
FALSE = _words("0 0.0 0. false no n nein non n\u00e3o nao f negative neg absent unchecked")


def are_truths(values: pd.Series) -> bool:
    """Whether a column is of yes and no, in one of some spellings; a blank beside `x` is no."""
    found = {value.lower() for value in values.unique()} - {""}
    return bool(found) and found <= TRUE | FALSE


def find_one_hot(rows: pd.DataFrame, candidates: dict[str, pd.Series]) -> list[str]:
    """Neighbouring columns of 0 and 1 (or shares) of which one is 1 in nearly every row."""
    blocks: list[list[str]] = [[]]
    for column in rows.columns:
        values = candidates.get(column)
        if values is not None and plain(column) not in NO_CLASSES and are_truths(values):
            blocks[-1].append(column)
        elif blocks[-1]:
            blocks.append([])
    for block in sorted(blocks, key=len, reverse=True):
        if len(block) > 1:
            numbers = _numbers(rows, block)
            filled = ~np.isnan(numbers).any(axis=1)
            if filled.any() and (numbers[filled].sum(axis=1) == 1).mean() >= ONE_HOT:
                return block
            named = [column for column in block if names_diagnosis(column)]  # beside `ulcerated`, `bleeding`
            ones = numbers[filled][:, [block.index(column) for column in named]].sum(axis=1) == 1
            if len(named) > 1 and ones.mean() >= ONE_HOT:
                return named
    return []


def from_one_hot(rows: pd.DataFrame, block: list[str]) -> Choice:
    numbers = np.nan_to_num(_numbers(rows, block))
    total = numbers.sum(axis=1)
    names = np.array(block, dtype=object)
    labels = pd.Series(np.where(total == 1, names[numbers.argmax(axis=1)], ""), index=rows.index, dtype=object)
    choice = Choice(labels, f"the column that is 1 of {', '.join(block)} ({quoted(labels)})", columns=tuple(block))
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
    others = [c for c in parts if c != single.column and are_truths(candidates[c]) and names_diagnosis(c)]
    if single.column in parts and others:
        why = "columns of yes and no may each be a diagnosis, and do not name one class a row"
        raise ambiguous("label", {c: candidates[c] for c in (single.column, *others)}, why)
    if single.column in parts and len(parts) > 1 and (numbers[parts].sum(axis=1) < 1.01).mean() > EXCLUSIVE:
        why = "columns of 0 to 1 exclude each other, and do not name one class a row"
        raise ambiguous("label", {c: candidates[c] for c in parts}, why, give(f"label={single.column}"))


def _numbers(rows: pd.DataFrame, block: list[str]) -> np.ndarray:
    return np.stack([_as_numbers(rows[column]) for column in block], axis=1)


def _as_numbers(values: pd.Series) -> np.ndarray:
    """1 for yes and 0 for no; a number; a blank is 0 where only yes is written, else nan."""
    codes, texts = pd.factorize(values.str.lower())
    known = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64, copy=True)
    known[[text in TRUE for text in texts]], known[[text in FALSE for text in texts]] = 1.0, 0.0
    if set(texts) - {""} <= TRUE:
        known[[text == "" for text in texts]] = 0.0
    return np.asarray(known[codes])
