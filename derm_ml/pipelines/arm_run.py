"""One arm trained at one place of a design, and what its split is: the figures that comparisons are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from derm_ml.pipelines.features import Recipe
from derm_ml.pipelines.finetune import ArmFactory, epochs_of
from derm_ml.pipelines.protocols import shared_recipe
from derm_ml.pipelines.setup import Setting
from derm_ml.results import ArmRun, Place, SplitFacts
from derm_ml.tracking.base import Tracker


def train_arm(factory: ArmFactory, arm: str, seed: int, place: Place, recipe: Recipe, run: Tracker) -> ArmRun:
    """Train an arm of the factory's split with a recipe; every epoch's metrics go to `run`."""
    config = replace(factory.config, lr=recipe.lr, weight_decay=recipe.weight_decay)
    training = factory.with_config(config).make(arm, seed, place.mode, place.fraction)
    training.witness.setting(shared_recipe(config, recipe, place))
    history: dict[str, list[float]] = {}
    for epoch, metrics in epochs_of(training, config.epochs):
        run.log_metrics(metrics, step=epoch)
        for name, value in metrics.items():
            history.setdefault(name, []).append(value)
    return ArmRun(
        arm=arm,
        split=config.split_seed,
        seed=seed,
        place=place,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        edge=recipe.edge,
        history={name: np.array(values) for name, values in history.items()},
        val_probabilities=training.predict("val").astype(np.float32),
        test_probabilities=training.predict("test").astype(np.float32),
        external_probabilities=training.predict("external").astype(np.float32) if factory.external else None,
        feed=training.witness.digest,
        origin=training.origin,
    )


def facts_of(seed: int, setting: Setting, encoder: str) -> SplitFacts:
    """A split's images, its seed, and where the pretrained arm's encoder on it came from."""
    dataset = setting.dataset
    rows = {name: dataset.rows(name, labelled=True) for name in ("val", "test")}
    return SplitFacts(
        seed=seed,
        identity=dataset.split_id,
        counts=dataset.counts,
        train_groups=np.unique(dataset.groups(dataset.rows("train"))),
        val_labels=dataset.codes(rows["val"]),
        val_groups=dataset.groups(rows["val"]),
        test_labels=dataset.codes(rows["test"]),
        test_groups=dataset.groups(rows["test"]),
        test_ids=dataset.table["image_id"].to_numpy()[rows["test"]],
        encoder=encoder,
    )
