"""stub"""

import pandas as pd

MISSING = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "#n/a", "unknown", "undefined", "missing", "?", "-", "--", "."}
)


def cleaned(values: pd.Series) -> pd.Series:
    text = values.astype(object).str.strip()
    return text.where(~text.str.lower().isin(MISSING), "")
