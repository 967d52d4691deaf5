"""Which sampler proposes and which pruner stops: chosen by measurement, benchmarks/search_choice.py."""

from __future__ import annotations

import optuna

from derm_ml.seeding import derive_seed


def sampler(seed: int, trial: int, worker: str) -> optuna.samplers.BaseSampler:
    """TPE, multivariate and aware of trials that are running (its defaults).

    Made anew for every trial, so that a search that was stopped proposes what an uninterrupted one would.

    Args:
        trial: how many trials have been started. worker: "" for the only one; workers at the same point differ.
    """
    return optuna.samplers.TPESampler(seed=derive_seed(seed, "sampler", trial, worker) % 2**32)


def pruner() -> optuna.pruners.BasePruner:
    """Stops a trial whose probe is worse than the median of the earlier trials' at the same epoch."""
    return optuna.pruners.MedianPruner(n_startup_trials=5)
