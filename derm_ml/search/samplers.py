"""Which sampler proposes and which pruner stops: chosen by measurement, benchmarks/search_choice.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from derm_ml.search.study import index_of
from derm_ml.seeding import derive_seed


class SeededSampler(BaseSampler):
    """TPE (multivariate, aware of running trials: its defaults), made anew for every trial from the trial's number.

    So a search that was stopped proposes what an uninterrupted one would, and workers on different machines that
    start at the same moment do not propose the same.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._own = TPESampler(seed=0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Optuna calls this first."""
        self._own = TPESampler(seed=derive_seed(self._seed, "sampler", index_of(trial)) % 2**32)
        self._own.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """TPE's."""
        return self._own.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """TPE's."""
        return self._own.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """TPE's."""
        return self._own.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """TPE's."""
        self._own.after_trial(study, trial, state, values)


def pruner() -> optuna.pruners.BasePruner:
    """Stops a trial whose probe is worse than the median of the earlier trials' at the same epoch."""
    return optuna.pruners.MedianPruner(n_startup_trials=5)
