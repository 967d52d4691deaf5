"""The protocols: one recipe for every arm, or each arm's best of a fixed list, chosen on validation."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from derm_ml.config import HeadConfig
from derm_ml.pipelines.features import Recipe
from derm_ml.pipelines.finetune import ArmFactory
from derm_ml.results import ArmRun, Place
from derm_ml.training.trainer import NonFiniteLoss

# Every arm is given the same sixteen: four learning rates, as factors of the configured one, by four weight decays.
LR_FACTORS = (0.3, 1.0, 3.0, 10.0)
WEIGHT_DECAYS = (0.003, 0.03, 0.1, 0.3)


def candidates(config: HeadConfig) -> tuple[Recipe, ...]:
    """The budget of `tuned`, the same for every arm."""
    grid = itertools.product(LR_FACTORS, WEIGHT_DECAYS)
    ends = {"lr": (LR_FACTORS[0], LR_FACTORS[-1]), "weight_decay": (WEIGHT_DECAYS[0], WEIGHT_DECAYS[-1])}
    return tuple(
        Recipe(config.lr * factor, decay, factor in ends["lr"] or decay in ends["weight_decay"])
        for factor, decay in grid
    )


def recipe_of(factory: ArmFactory, arm: str, seed: int, place: Place) -> Recipe:
    """The learning rate and weight decay of an arm at a place.

    Under `tuned`, the candidate with the lowest validation log-loss after the last epoch, each trained at this seed;
    the log-loss and not the AUROC, since it is what an unregularised head loses by overfitting.

    Raises:
        NonFiniteLoss: every candidate diverged.
    """
    config = factory.config
    if place.protocol == "identical" or arm == "majority":  # the majority floor has one constant input: nothing to tune
        return Recipe(config.lr, config.weight_decay)
    tried = candidates(config)
    losses = factory.validation_losses(arm, seed, place.mode, place.fraction, tried)
    if not np.isfinite(losses).any():
        raise NonFiniteLoss(f"{arm}, {place.text}: every candidate of the tuned protocol diverged: lower lr")
    return tried[int(np.nanargmin(losses))]


def shared_recipe(config: HeadConfig, recipe: Recipe, place: Place) -> str:
    """The part of the recipe that the arms of a protocol must share, as text for the witness."""
    shared = {"batch_size": config.batch_size, "epochs": config.epochs, "mode": place.mode, "optimiser": "AdamW"}
    if place.protocol == "identical":
        shared |= {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    return json.dumps(shared, sort_keys=True)


def check_fed_alike(runs: Iterable[ArmRun]) -> int:
    """At one split, seed and place every arm was fed the same: the number of such groups.

    Raises:
        RuntimeError: they were not, which is a defect of this program.
    """
    feeds: dict[tuple[int, int, Place], dict[str, str]] = defaultdict(dict)
    for run in runs:
        # The floors have no weights to fine-tune: in mode `full` theirs is a frozen head, fed without augmentation.
        if run.place.mode == "frozen" or run.arm not in ("pixels", "majority"):
            feeds[(run.split, run.seed, run.place)][run.arm] = run.feed
    for (split, seed, place), arms in feeds.items():
        if len(set(arms.values())) > 1:
            raise RuntimeError(f"split {split}, seed {seed}, {place.text}: the arms were not fed alike: {arms}")
    return len(feeds)
