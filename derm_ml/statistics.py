"""Intervals: Student's t over seeds, a bootstrap over groups of test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from derm_ml.seeding import numpy_generator

Metric = Callable[[np.ndarray, np.ndarray], float]


class Interval(NamedTuple):
    """A mean with its 95 % interval; nan bounds where one value gives none."""

    mean: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """`0.842 [0.831, 0.853]`."""
        if np.isnan(self.low):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def over_seeds(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean and Student's t interval of one value a seed, [seeds]."""
    from scipy import stats

    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return Interval(mean, mean - half, mean + half)


def group_draws(groups: np.ndarray, draws: int, seed: int) -> list[np.ndarray]:
    """Rows of `draws` resamples of whole groups, with replacement: images of a lesion are not independent."""
    rng = numpy_generator(seed, "bootstrap")
    codes = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return [np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]) for _ in range(draws)]


def over_groups(
    metric: Metric,
    probabilities: Sequence[np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    minus: Sequence[np.ndarray] = (),
    draws: int = 500,
) -> Interval:
    """A metric's bootstrap percentile interval over groups; or of a paired difference, on the same resamples.

    Args:
        probabilities: [n, k] for each seed; the metric is the mean over seeds within every resample.
        minus: the other arm's, for a difference.
    """

    def value(rows: np.ndarray) -> float:
        first = np.mean([metric(each[rows], labels[rows]) for each in probabilities])
        second = np.mean([metric(each[rows], labels[rows]) for each in minus]) if minus else 0.0
        return float(first - second)

    resampled = [value(rows) for rows in group_draws(groups, draws, seed=0)]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Interval(value(np.arange(len(labels))), float(low), float(high))
