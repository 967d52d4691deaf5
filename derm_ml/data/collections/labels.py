"""The diagnosis of every row: one column, one column a class, levels of a hierarchy, weighted differentials."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import Choice, ambiguous, by_value, column_named, quoted, refines
from derm_ml.data.collections.layouts import Layout
from derm_ml.data.collections.names import AGAIN, CLINICAL, GROUPS, HIERARCHY, LABELS, NO_COLUMN, SPLIT_COLUMNS, plain
from derm_ml.errors import UserError

MOSTLY = 0.5  # of the images that a diagnosis must be known of where a coarser label is known of all
DEEP = 0.9  # of the images that a level of a hierarchy must be known of to be taken
ONE_HOT = 0.98  # of the rows of one-hot columns that must name one class
EXCLUSIVE = 0.9  # of the rows in which columns of 0 to 1 add up to no more than 1
MOST_CLASSES = 200  # distinct values up to which an unnamed column may be a diagnosis
TRUTHS = {"True": "1", "False": "0", "true": "1", "false": "0", "TRUE": "1", "FALSE": "0"}
CLINICAL_NAMES = frozenset().union(*CLINICAL.values())


def find_label(rows: pd.DataFrame, images: list[str], layout: Layout | None, asked: str) -> Choice | None:
    """The label of every row; None where no column can be one.

    Args:
        images: the columns that name files: never labels.
        asked: the column that the user named; "": to be found.

    Raises:
        UserError: several columns may be meant, or the one that the user named is not there.
    """
    if asked:
        column = column_named(rows, asked, "label", plain)
        return _without_contradictions(rows, _read(rows, column, "as you said"))
    if layout and layout.label:
        column = next((each for each in rows.columns if plain(each) == layout.label), "")
        if column:
            choice = _read(rows, column, f"as {layout.name} has it")
            choice.values = choice.values.replace(dict(layout.values)) if layout.values else choice.values
            return _without_contradictions(rows, choice)
    candidates = {
        column: rows[column]
        for column in rows.columns
        if not column.startswith(" ") and column not in images and not column.endswith(AGAIN)
        if not NO_COLUMN.match(plain(column)) or re.fullmatch(r"column \d+", column)
    }
    candidates = {column: values for column, values in candidates.items() if (values != "").any()}
    by_tier = [{c: v for c, v in candidates.items() if plain(c) in tier} for tier in LABELS]
    hierarchy = _hierarchies(candidates)
    one_hot = _one_hot(rows, candidates)
    if one_hot:  # `melanoma` is then one of several classes
        by_tier[2] = {c: v for c, v in by_tier[2].items() if c not in one_hot}
    single = _single(by_tier, hierarchy)
    if single and one_hot:
        classes = _from_one_hot(rows, one_hot)
        both = (single.values != "") & (classes.values != "")
        if not refines(single.values, classes.values) and both.any():
            raise ambiguous(
                "label",
                {c: candidates[c] for t in by_tier[:2] for c in t},
                "a label column and one column a class disagree",
            )
        return _without_contradictions(rows, single)
    if single:
        _refuse_parts(rows, candidates, single)
        return _without_contradictions(rows, single)
    if one_hot:
        return _from_one_hot(rows, one_hot)
    possible = {c: v for c, v in candidates.items() if _could_be(c, v)}
    if possible:
        raise ambiguous("label", possible, "no column is called a label or a diagnosis, and these may be one")
    return None


def _without_contradictions(rows: pd.DataFrame, choice: Choice) -> Choice:
    """Rows of which two tables tell other labels have none."""
    if (again := choice.column + AGAIN) in rows:
        own, theirs = rows[choice.column], rows[again]
        differ = (own != "") & (theirs != "") & (own != theirs)
        choice.lost |= dict.fromkeys(
            (int(row) for row in differ.index[differ]), "two tables have other labels for it: keep the right one"
        )
    return choice


def _refuse_parts(rows: pd.DataFrame, candidates: dict[str, pd.Series], single: Choice) -> None:
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
        raise ambiguous("label", {c: candidates[c] for c in parts}, why, f"label={single.column}")


def _read(rows: pd.DataFrame, column: str, why: str) -> Choice:
    """A column's values as class names; weighted differentials (a dictionary) by their first."""
    values = rows[column]
    filled = values[values != ""]
    if len(filled) and (filled.str.startswith(("{", "[")) & filled.str.endswith(("}", "]"))).mean() > DEEP:
        return _differential(column, values, why)
    return Choice(values, f"column {column}, {why} ({quoted(values)})", column=column)


def _differential(column: str, values: pd.Series, why: str) -> Choice:
    """The condition of the greatest weight; where two share it, none can be taken."""
    labels = by_value(values, _first)
    tied = int(((values != "") & ~values.isin(["{}", "[]"]) & (labels == "")).sum())
    choice = Choice(labels, f"column {column}, {why}: the condition of the greatest weight ({quoted(labels)})")
    if tied:
        choice.warnings.append(
            f"{tied:,} images have no one diagnosis in {column} (several conditions share the greatest weight): "
            "they count as unlabelled"
        )
    return choice


def _first(text: str) -> str:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    if isinstance(found, list):
        return str(found[0]) if len(found) == 1 else ""
    if not isinstance(found, Mapping) or not found:
        return ""
    weights = sorted(((float(w), str(n)) for n, w in found.items() if isinstance(w, (int, float))), reverse=True)
    return weights[0][1] if weights and (len(weights) == 1 or weights[0][0] > weights[1][0]) else ""


def _single(tiers: list[dict[str, pd.Series]], hierarchy: dict[str, pd.Series]) -> Choice | None:
    named = dict(tiers[0])
    other = dict(tiers[1])
    if hierarchy:
        known = {c: float((v != "").mean()) for c, v in hierarchy.items()}
        deep = [c for c, share in known.items() if share >= DEEP * known[next(iter(hierarchy))]]
        other |= {deep[-1]: hierarchy[deep[-1]]}
    every = named | other
    coarse = {c: v for c, v in tiers[2].items() if v.nunique() > 1}
    if not every:
        every, coarse = coarse, {}
        named = {}
    chosen = _finest(every, named)
    if chosen is None:
        return None
    share = float((every[chosen] != "").mean())
    fuller = {c: v for c, v in (every | coarse).items() if share < MOSTLY < (v != "").mean()}
    if fuller:
        why = f"{chosen} is known of {share:.0%} of the images only, and there are others"
        raise ambiguous("label", {chosen: every[chosen]} | fuller, why)
    beside = [c for c in (every | coarse) if c != chosen]
    levels = [c for c in hierarchy if c != chosen and c not in beside] if chosen in hierarchy else []
    why = "by its name"
    if levels:
        why = f"the deepest level that is known of {DEEP:.0%} of the images (also {', '.join(levels)})"
    elif beside:
        why = f"by its name (also there: {', '.join(beside)}; label=COLUMN takes another)"
    return _read_values(every[chosen], chosen, why)


def _read_values(values: pd.Series, column: str, why: str) -> Choice:
    return _read(pd.DataFrame({column: values}), column, why)


def _finest(every: dict[str, pd.Series], named: dict[str, pd.Series]) -> str | None:
    """The one column, or the one of those that say the same; refused where they do not."""
    if len(every) <= 1:
        return next(iter(every), None)
    pool = named if len(named) == 1 else every
    chosen = _wordiest(pool)
    for column, values in every.items():
        if column != chosen and not (refines(every[chosen], values) or refines(values, every[chosen])):
            raise ambiguous("label", every, "several columns may be the diagnosis, and they differ")
    if not named:
        same = {c: v for c, v in every.items() if refines(every[chosen], v) and refines(v, every[chosen])}
        if len(same) < len(every):
            raise ambiguous("label", every, "several columns may be the diagnosis, one finer than another")
    return chosen


def _wordiest(pool: dict[str, pd.Series]) -> str:
    """Of columns that say the same that with the longest names: `melanoma` before `mel` before `4`."""
    lengths = {column: (float(values[values != ""].str.len().mean()), column) for column, values in pool.items()}
    return max(lengths, key=lambda column: lengths[column][0])


def _hierarchies(candidates: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """Columns such as diagnosis_1 to diagnosis_5, the coarsest first; empty where fewer than two."""
    stems: dict[str, list[tuple[int, str]]] = {}
    for column in candidates:
        if match := HIERARCHY.match(plain(column)):
            stems.setdefault(match[1], []).append((int(match[2]), column))
    levels = max(stems.values(), key=len, default=[])
    return {column: candidates[column] for _, column in sorted(levels)} if len(levels) > 1 else {}


def _one_hot(rows: pd.DataFrame, candidates: dict[str, pd.Series]) -> list[str]:
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


def _numbers(rows: pd.DataFrame, block: list[str]) -> np.ndarray:
    numbers = rows[block].replace(TRUTHS).apply(pd.to_numeric, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64))


def _from_one_hot(rows: pd.DataFrame, block: list[str]) -> Choice:
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


def _could_be(column: str, values: pd.Series) -> bool:
    """Whether a column that no name gives away has values like class names."""
    name = plain(column)
    if name in CLINICAL_NAMES or name in SPLIT_COLUMNS or any(each.match(name) for each in GROUPS.values()):
        return False
    filled = values[values != ""]
    distinct = filled.nunique()
    numeric = pd.to_numeric(filled, errors="coerce").notna().mean() > MOSTLY
    return 1 < distinct <= min(MOST_CLASSES, len(filled) // 2) and not (numeric and distinct > 20)


def checked_classes(values: pd.Series) -> list[str]:
    """Warnings about class names: such as differ in case alone."""
    names = sorted(set(values.unique()) - {""})
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    same = [found for found in folded.values() if len(found) > 1]
    return [
        f"{' and '.join(found)} differ in case alone and are two classes: classes=FILE merges them" for found in same
    ]


__all__ = ["UserError", "checked_classes", "find_label"]
