"""From estimates to decisions: Holm over several metrics, equivalence, effect sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from derm_ml.statistics.estimates import Estimate


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p (Scandinavian Journal of Statistics 6, 1979); a missing p (nan) stays missing and uncounted."""
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p_values, dtype=np.float64)
    adjusted, known = np.full(len(values), np.nan), ~np.isnan(values)
    if known.any():
        adjusted[known] = multipletests(values[known], method="holm")[1]
    return adjusted


def p_text(p: float) -> str:
    """`0.012`, `< 0.001`; empty where there is none (nan)."""
    if np.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def equivalence(estimate: Estimate, margin: float) -> float:
    """p of "the mean lies within (-margin, margin)": the larger of two one-sided tests.

    Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987). Below 0.05 exactly when the 90 % interval
    lies within the margin.
    """
    from scipy import stats

    mean, error, freedom = estimate
    if np.isnan(error):
        return float("nan")
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    return float(max(stats.t.sf((mean + margin) / error, freedom), stats.t.cdf((mean - margin) / error, freedom)))


def hedges_g(differences: Sequence[float] | np.ndarray) -> float:
    """Mean of paired differences in their standard deviations, corrected for few of them; nan below three.

    Hedges, Journal of Educational Statistics 6 (1981): the factor 1 - 3 / (4 df - 1).
    """
    values = np.asarray(differences, dtype=np.float64)
    spread = values.std(ddof=1) if len(values) > 2 else 0.0  # with two the correction leaves nothing
    if not spread:
        return float("nan")
    return float(values.mean() / spread * (1 - 3 / (4 * (len(values) - 1) - 1)))
