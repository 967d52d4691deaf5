"""An estimate with its standard error and degrees of freedom: its interval, its p and its text follow from these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A mean, its standard error and the degrees of freedom of its Student's t; nan where one value gives none."""

    mean: float
    error: float
    freedom: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Both bounds; nan when there is no standard error."""
        from scipy import stats

        half = float(stats.t.ppf(0.5 + level / 2, self.freedom)) * self.error
        return self.mean - half, self.mean + half

    @property
    def low(self) -> float:
        """Lower bound of the 95 % interval."""
        return self.interval()[0]

    @property
    def high(self) -> float:
        """Upper bound of the 95 % interval."""
        return self.interval()[1]

    @property
    def p(self) -> float:
        """Two-sided p of the mean being zero; nan without a standard error, 1 where nothing differs at all."""
        from scipy import stats

        if math.isnan(self.error):
            return float("nan")
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def text(self, digits: int = 3, bounds: tuple[float, float] = (-math.inf, math.inf)) -> str:
        """`0.842 [0.831, 0.853]`; `bounds`: the range that the figure itself cannot leave."""
        low, high = np.clip(self.interval(), *bounds)
        if math.isnan(low):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def over_seeds(values: Sequence[float] | np.ndarray) -> Estimate:
    """Mean of one value a seed, [seeds], as of independent draws."""
    array = np.asarray(values, dtype=np.float64)
    count = len(array)
    error = float(array.std(ddof=1) / math.sqrt(count)) if count > 1 else float("nan")
    return Estimate(float(array.mean()), error, count - 1.0)


def over_splits(values: Sequence[float] | np.ndarray, test_to_train: float) -> Estimate:
    """Mean of one value a split, [splits], with the corrected resampled t.

    Splits of one collection share most of their training images, so that their values are not independent: the
    variance of their mean is (1/J + n_test/n_train) S^2, not S^2/J.

    Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52 (2003), section 3.2 and equation 9.

    Args:
        test_to_train: images that a value was measured on, to images that were trained on.
    """
    array = np.asarray(values, dtype=np.float64)
    count = len(array)
    if count < 2:
        return Estimate(float(array.mean()), float("nan"), 0.0)
    error = math.sqrt((1 / count + test_to_train) * array.var(ddof=1))
    return Estimate(float(array.mean()), error, count - 1.0)


def within_split(values: Sequence[float] | np.ndarray, sampling_error: float) -> Estimate:
    """Mean of one value a seed of ONE split: its images' sampling error and its seeds' spread together.

    The variances add; the degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946), the sampling error's
    being taken as infinite. With one seed the sampling error stands alone.

    Args:
        sampling_error: of the mean, from resampling the groups of images that it was measured on.
    """
    seeds = over_seeds(values)
    if math.isnan(seeds.error) or seeds.error == 0:
        return Estimate(seeds.mean, sampling_error, float("inf"))
    total = sampling_error**2 + seeds.error**2
    return Estimate(seeds.mean, math.sqrt(total), total**2 / (seeds.error**4 / seeds.freedom))
