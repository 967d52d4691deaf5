"""The diagnosis of every row: one column, one column a class, levels of a hierarchy, weighted differentials."""

from __future__ import annotations

import re

import pandas as pd

from derm_ml.data.collections.choice import Choice, ambiguous, column_named, filled_up, quoted, refines
from derm_ml.data.collections.differentials import differential
from derm_ml.data.collections.layouts import Layout
from derm_ml.data.collections.names import AGAIN, CLINICAL, GROUPS, HIERARCHY, LABELS, NO_COLUMN, SPLIT_COLUMNS, plain
from derm_ml.data.collections.one_hot import are_truths, find_one_hot, from_one_hot, refuse_parts
from derm_ml.errors import give

MOSTLY = 0.5  # of the images that a diagnosis must be known of where a coarser label is known of all
DEEP = 0.9  # of the images that a level of a hierarchy must be known of to be taken
FEW = 20  # rows, of which each may be of a class of its own
MOST_CLASSES = 200  # distinct values up to which an unnamed column may be a diagnosis
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
    candidates = {column: values for column, values in candidates.items() if not _is_free_text(values)}
    by_tier = [{c: v for c, v in candidates.items() if plain(c) in tier} for tier in LABELS]
    hierarchy = _hierarchies({column: values for column, values in candidates.items() if not are_truths(values)})
    by_tier[1] |= {
        c: v for c, v in candidates.items() if HIERARCHY.match(plain(c)) and c not in hierarchy and not are_truths(v)
    }
    one_hot = find_one_hot(rows, candidates)
    if one_hot:  # `melanoma` is then one of several classes
        by_tier[2] = {c: v for c, v in by_tier[2].items() if c not in one_hot}
    single = _single(by_tier, hierarchy)
    if single and one_hot:
        classes = from_one_hot(rows, one_hot)
        both = (single.values != "") & (classes.values != "")
        if not refines(single.values, classes.values) and both.any():
            raise ambiguous(
                "label",
                {c: candidates[c] for t in by_tier[:2] for c in t},
                "a label column and one column a class disagree",
            )
        return _without_contradictions(rows, single)
    if single:
        refuse_parts(rows, candidates, single)
        return _without_contradictions(rows, single)
    if one_hot:
        return from_one_hot(rows, one_hot)
    possible = {c: v for c, v in candidates.items() if _could_be(c, v)}
    if possible:
        raise ambiguous("label", possible, "no column is called a label or a diagnosis, and these may be one")
    return None


def _without_contradictions(rows: pd.DataFrame, choice: Choice) -> Choice:
    """Rows of which two tables tell other labels have none."""
    if (again := choice.column + AGAIN) in rows:
        own, theirs = rows[choice.column], rows[again]
        differ = (own != "") & (theirs != "") & (own != theirs)
        choice.lost |= {
            int(row): f"two tables have other labels for it ({own[row]} and {theirs[row]}): keep the right one"
            for row in differ.index[differ]
        }
    return choice


def _read(rows: pd.DataFrame, column: str, why: str) -> Choice:
    """A column's values as class names; weighted differentials (a dictionary) by their first."""
    values = rows[column]
    filled = values[values != ""]
    if len(filled) and (filled.str.startswith(("{", "[")) & filled.str.endswith(("}", "]"))).mean() > DEEP:
        return differential(column, values, why)
    if len(filled) and filled.str.fullmatch(r"\d+(\.0)?").all():  # 1 and 1.0 are one class
        values = values.str.replace(r"\.0$", "", regex=True)
    values, several = _one_of_several(values)
    choice = Choice(values, f"column {column}, {why} ({quoted(values)})", column=column)
    choice.lost = {row: f"several diagnoses at once: {text}" for row, text in several.items()}
    return choice


def _one_of_several(values: pd.Series) -> tuple[pd.Series, dict[int, str]]:
    """Values without those that list several of the others (`nevus|melanoma`), and these; one repeated is one."""
    alone = {value for value in values.unique() if value}
    lists: dict[str, str] = {}
    for value in alone:
        parts = [part.strip() for part in re.split(r"[|;,/+]", value)]
        if len(parts) > 1 and all(part in alone for part in parts):
            lists[value] = parts[0] if len(set(parts)) == 1 else ""
    listed = values.isin(lists)
    several = {int(str(row)): text for row, text in values[listed].items() if not lists[text]}
    return (values.mask(listed, values.map(lists)), several) if lists else (values, {})


def _single(tiers: list[dict[str, pd.Series]], hierarchy: dict[str, pd.Series]) -> Choice | None:
    named = dict(tiers[0])
    other = dict(tiers[1])
    if hierarchy:
        known = {c: float((v != "").mean()) for c, v in hierarchy.items()}
        deep = [c for c, share in known.items() if share >= DEEP * known[next(iter(hierarchy))]]
        other |= {deep[-1]: hierarchy[deep[-1]]}
    every = filled_up(named | other, alike=True)
    named = {column: values for column, values in every.items() if column.split(" (")[0] in named}
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
        why = f"by its name (also there: {', '.join(beside)}; another with {give('label=COLUMN')})"
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
            raise ambiguous("label", every, _how_they_differ(every, chosen, column))
    if not named:
        same = {c: v for c, v in every.items() if refines(every[chosen], v) and refines(v, every[chosen])}
        if len(same) < len(every):
            raise ambiguous("label", every, "several columns may be the diagnosis, one finer than another")
    return chosen


def _how_they_differ(every: dict[str, pd.Series], one: str, other: str) -> str:
    """Of columns that do not say the same: in what."""
    both = (every[one] != "") & (every[other] != "")
    if not both.any():
        return f"no image has both of the columns {one} and {other}, and they do not have the same classes"
    pairs = pd.DataFrame({"one": every[one][both], "other": every[other][both]}).value_counts()
    shown = ", ".join(f"{a} and {b}" for a, b in pairs.index[:3])
    return f"several columns may be the diagnosis, and they differ ({one} and {other} say {shown})"


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


def _is_free_text(values: pd.Series) -> bool:
    """Nearly every row with words of its own: a description, not a class."""
    filled = values[values != ""]
    return len(filled) > FEW and filled.nunique() > 0.5 * len(filled)


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
        f"{' and '.join(found)} differ in case alone and are two classes: merged with {give('classes=FILE')}"
        for found in same
    ]
