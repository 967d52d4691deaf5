"""What a table knows beside the diagnosis, in one spelling: age, sex, site, skin type and more."""

from __future__ import annotations

import re

import pandas as pd

from derm_ml.data.collections.choice import by_value, filled_up
from derm_ml.data.collections.names import CLINICAL, plain

SEXES = {
    "m": "male",
    "man": "male",
    "f": "female",
    "w": "female",
    "woman": "female",
    "weiblich": "female",
    "männlich": "male",
}
ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}


def find_metadata(rows: pd.DataFrame, taken: set[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The columns that are there, a row an image: age in years (nan: unknown), the others text ("": unknown).

    Args:
        taken: columns that are the image, the label, the group or the split already.

    Returns:
        The table, and which column each came from.
    """
    made, sources = pd.DataFrame(index=rows.index), {}
    for name, spellings in CLINICAL.items():
        found = [column for column in rows.columns if column not in taken and plain(column) in spellings]
        if not found:
            continue
        known = filled_up({column: rows[column] for column in found})
        # of several (site, general and special) the one that is known of most images
        column = max(known, key=lambda each: int((known[each] != "").sum()))
        made[name], sources[name] = _in_one_spelling(name, known[column]), column
    return made, sources


def _in_one_spelling(name: str, values: pd.Series) -> pd.Series:
    if name == "age":
        return by_value(values, lambda text: str(_years(text.lower()))).astype(float)
    return by_value(values, lambda text: _value(name, text))


def _value(name: str, text: str) -> str:
    low = text.strip().lower()
    if name == "sex":
        return SEXES.get(low, low)
    if name == "skin_type":
        return _skin_type(low)
    if name == "confirmation" and low in ("true", "false"):
        return "biopsy" if low == "true" else "no biopsy"
    return low


def _years(text: str) -> float:
    """A number, the lower end of "85+", the middle of "30-39" and of "AGE_30_TO_39"; nan for all else and below 0."""
    numbers = [float(each) for each in re.findall(r"\d+(?:\.\d+)?", text.replace(",", "."))]
    if not numbers or text.startswith("-") or len(numbers) > 2:
        return float("nan")
    years = sum(numbers) / len(numbers)
    return years if years <= 130 else float("nan")


def _skin_type(text: str) -> str:
    """Fitzpatrick's type as 1 to 6, a range of them as 1-2; others as they are written; "" for none (-1)."""
    core = re.sub(r"fitzpatrick|skin|type|photo|fst|_|\s", "", text)
    core = re.sub(r"\.0$", "", core)
    if core in ROMAN:
        return ROMAN[core]
    if re.fullmatch(r"[1-6]", core):
        return core
    if re.fullmatch(r"[1-6]{2}", core) and int(core[1]) == int(core[0]) + 1:  # DDI writes 12, 34 and 56
        return f"{core[0]}-{core[1]}"
    return "" if core in ("", "-1", "0", "none", "noneidentified", "noneselected") else text
