"""Resampling whole groups of images: images of one lesion are not independent."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from derm_ml.seeding import derive_seed
from derm_ml.statistics.weighted import Weighted

DRAWS = 500


def group_error(
    metric: Weighted,
    probabilities: Sequence[np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    minus: Sequence[np.ndarray] = (),
    draws: int = DRAWS,
) -> float:
    """The bootstrap's standard error of a metric, or of a paired difference, when groups are drawn with replacement.

    Both sides of a difference, and all seeds, see the same resamples: what they share cancels.

    Args:
        probabilities: [n, k] for each seed; the metric is the mean over seeds within every resample.
        minus: the other arm's, for a difference.
    """
    from scipy import stats

    codes = np.unique(groups, return_inverse=True)[1]
    count = int(codes.max()) + 1

    def statistic(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        lines = np.atleast_2d(drawn).astype(np.int64)
        offsets = np.arange(len(lines))[:, None] * count
        times = np.bincount((lines + offsets).ravel(), minlength=len(lines) * count).reshape(len(lines), count)
        weights = times[:, codes].astype(np.float64)
        value = np.mean([metric(each, labels, weights) for each in probabilities], axis=0)
        if minus:
            value = value - np.mean([metric(each, labels, weights) for each in minus], axis=0)
        return np.asarray(value if drawn.ndim > 1 else value[0])

    if count < 2:
        return float("nan")
    with warnings.catch_warnings():  # of few images all resamples may be alike: an error of 0 or nan says so
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        done = stats.bootstrap(
            (np.arange(count),),
            statistic,
            n_resamples=draws,
            batch=100,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(derive_seed(0, "bootstrap")),
        )
    return float(np.nanstd(done.bootstrap_distribution, ddof=1))
