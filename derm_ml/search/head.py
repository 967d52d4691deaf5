"""The search over one arm's head, the protocol `tuned`: its learning rate and weight decay, chosen on validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from derm_ml.config import FinetuneConfig
from derm_ml.pipelines.finetune import ArmFactory, Watch, train
from derm_ml.search.space import Params, Range, parse_space
from derm_ml.search.study import Goal, Study
from derm_ml.tracking.base import Tracker


class HeadTask:
    """One head with given parameters on features that are computed once; the goal is the validation log-loss.

    The log-loss and not the AUROC: it is what an unregularised head loses by overfitting, which `tuned` is to take
    away; a ranking may stay as good while the loss doubles.
    """

    entry = "finetune"
    goals: tuple[Goal, ...] = (Goal("val/loss", "minimize"),)

    def __init__(self, config: FinetuneConfig, factory: ArmFactory) -> None:
        self.config, self.factory = replace(config, trials=0, hours=0, study="", workers=1), factory
        self.epochs = config.epochs
        self.space: Mapping[str, Range] = parse_space(config)

    def train(self, params: Params, run: Tracker, folder: Path, watch: Watch, again: bool) -> Mapping[str, float]:
        """`pipelines.finetune.train`; only a full fine-tuning is long enough to be stopped early."""
        config = replace(self.config, **params)  # type: ignore[arg-type]
        run.set_tags({"protocol": "tuned"})
        told: Watch = watch if config.mode == "full" else lambda epoch, metrics: None
        return train(config, self.factory, run, folder, watch=told, resume=folder.name if again else "")

    def keep(self, run: Tracker, folder: Path) -> None:
        """Nothing: a head is trained in seconds from its parameters."""

    def register(self, params: Params, metrics: Mapping[str, float], run: Tracker, folder: Path) -> str:
        """Nothing."""
        return ""


def same_budget(study: Study) -> str:
    """Whether the arms that were tuned on this data, split and settings were given as many trials; said in words."""
    shared = {key: value for key, value in study.facts.items() if key != "encoder"}
    spent = {study.facts["encoder"]: study.counts().spent}
    for other in study.storage.get_all_studies():
        facts = other.user_attrs.get("facts", {})
        if {key: value for key, value in facts.items() if key != "encoder"} == shared:
            states = [trial.state for trial in study.storage.get_all_trials(other._study_id, deepcopy=False)]
            spent.setdefault(facts["encoder"], sum(state.is_finished() for state in states))
    listed = ", ".join(f"{encoder} {count}" for encoder, count in sorted(spent.items()))
    if len(spent) == 1:
        return f"protocol tuned, trials an arm: {listed}; give every arm that it is compared with the same"
    if len(set(spent.values())) == 1:
        return f"protocol tuned, the same budget for every arm so far, in trials: {listed}"
    most = max(spent.values())
    behind = ", ".join(encoder for encoder, count in sorted(spent.items()) if count < most)
    return (
        f"protocol tuned, NOT the same budget for every arm, in trials: {listed}; trials={most} for {behind} mends it"
    )
