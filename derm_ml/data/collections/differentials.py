"""A differential diagnosis as a label: conditions with weights, written as a dictionary or a list."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import pandas as pd

from derm_ml.data.collections.choice import Choice, by_value, quoted


def differential(column: str, values: pd.Series, why: str) -> Choice:
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
