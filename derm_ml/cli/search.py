"""`-P trials=N`, wired: the data, the task, the study, the run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from derm_ml.cli.commands import resolver, run_folder
from derm_ml.config import CommonConfig, FinetuneConfig, PretrainConfig
from derm_ml.models.backbones import choose_backbone, choose_own_backbone
from derm_ml.search.run import Found, facts_of, search, told
from derm_ml.tracking.base import NullTracker, Tracker
from derm_ml.tracking.mlflow import MlflowTracker
from derm_ml.workers import parent_watch


def run(config: CommonConfig, tracker: MlflowTracker, *, worker: bool = False) -> None:
    """Search, and say what was found.

    Args:
        worker: this process was started by one that has logged the data already, and will say what was found.
    """
    log: Tracker = NullTracker() if worker else tracker
    if isinstance(config, PretrainConfig):
        found = _pretrain(config, tracker, log, worker=worker)
    elif isinstance(config, FinetuneConfig):
        with tempfile.TemporaryDirectory() as folder:
            found = _finetune(config, tracker, log, Path(folder), worker=worker)
    if not worker:
        print(told(found, config.trials))  # type: ignore[attr-defined]


def _pretrain(config: PretrainConfig, tracker: MlflowTracker, log: Tracker, *, worker: bool) -> Found:
    from derm_ml.pipelines.setup import prepare_setting
    from derm_ml.search.pretrain import PretrainTask

    setting = prepare_setting(config, log)
    task = PretrainTask(config, setting)
    backbone = choose_own_backbone(config.backbone, setting.device)
    prefix = f"pretrain-{setting.dataset.kind}-{backbone}-{config.image_size}px"
    facts = facts_of(config, setting, backbone, task.space)
    alive = parent_watch() if worker else lambda: None
    return search(config, task, facts, prefix, tracker, run_folder(""), alive)


def _finetune(config: FinetuneConfig, tracker: MlflowTracker, log: Tracker, folder: Path, *, worker: bool) -> Found:
    from derm_ml.pipelines.arms import arm_of
    from derm_ml.pipelines.finetune import open_arm
    from derm_ml.search.head import HeadTask, same_budget

    factory = open_arm(config, log, resolver(tracker, folder))
    task = HeadTask(config, factory)
    arm = arm_of(config.encoder)
    backbone = choose_backbone(config.backbone, factory.setting.device)
    prefix = f"finetune-{arm}-{factory.setting.dataset.kind}-{backbone}-{config.image_size}px"
    facts = facts_of(config, factory.setting, backbone, task.space)
    facts["encoder"] = factory.encoders["vae"].uri if factory.encoders else arm
    alive = parent_watch() if worker else lambda: None
    found = search(config, task, facts, prefix, tracker, run_folder(""), alive)
    if not worker:
        print(same_budget(found.study))
    return found
