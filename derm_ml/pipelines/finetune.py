"""Finetune: one arm at one seed, frozen or full, its metrics and gap an epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from derm_ml.config import FinetuneConfig, HeadConfig, resolved
from derm_ml.data.splits import label_fraction
from derm_ml.errors import UserError
from derm_ml.pipelines.arms import EncoderFiles, Resolve, arm_of, build_arm
from derm_ml.pipelines.features import HeadTraining, SplitFeatures, extract, no_features, pixel_features
from derm_ml.pipelines.full import FullTraining
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.tracking.base import Tracker
from derm_ml.training.checkpoint import load_checkpoint, save_checkpoint
from derm_ml.training.trainer import Trainer

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class ArmTraining:
    """An arm being trained: epochs to run, and its prediction of the test images afterwards."""

    trainer: Trainer
    origin: str
    epoch: Callable[[], dict[str, float]]
    evaluate: Callable[[], dict[str, float]]
    predict_test: Callable[[], np.ndarray]


@dataclass
class ArmFactory:
    """Makes arms of one setting; frozen features are computed once an encoder and kept."""

    config: HeadConfig
    setting: Setting
    files: EncoderFiles | None
    _kept: dict[tuple[str, int, str], SplitFeatures] = field(default_factory=dict)
    _origins: dict[tuple[str, int], str] = field(default_factory=dict)

    def with_config(self, config: HeadConfig) -> ArmFactory:
        """The same with another recipe for the head: the features are shared."""
        return replace(self, config=config)

    def make(self, arm: str, seed: int) -> ArmTraining:
        """The arm at a seed, ready for its first epoch."""
        config, dataset = self.config, self.setting.dataset
        train, val = self.training_rows(), dataset.rows("val", labelled=True)
        if config.mode == "full" and arm not in ("pixels", "majority"):
            extractor, origin = build_arm(arm, config, self.setting, seed, self.files)
            full = FullTraining(extractor, self.setting, train, val, config, seed)
            return ArmTraining(full.trainer, origin, full.epoch, full.evaluate, lambda: full.predict(self.test_rows()))
        # Only the random arm's encoder depends on the seed: the others' features are shared by all seeds.
        drawn = seed if arm == "random" else config.seed
        splits = [self._features(arm, drawn, name, rows) for name, rows in (("train", train), ("val", val))]
        head = HeadTraining(splits[0], splits[1], dataset.classes, config, seed)
        origin = self._origins[(arm, drawn)]
        return ArmTraining(
            head.trainer,
            origin,
            head.epoch,
            head.evaluate,
            lambda: head.predict(self._features(arm, drawn, "test", self.test_rows())),
        )

    def training_rows(self) -> np.ndarray:
        """Labelled training images, or the nested share of them that `label_fraction` asks for."""
        dataset = self.setting.dataset
        rows = dataset.rows("train", labelled=True)
        groups, codes = dataset.groups(rows), dataset.codes(rows)
        return label_fraction(rows, groups, codes, self.config.label_fraction, self.config.split_seed)

    def test_rows(self) -> np.ndarray:
        """Labelled test images; read once, when every arm is trained."""
        return self.setting.dataset.rows("test", labelled=True)

    def _features(self, arm: str, seed: int, name: str, rows: np.ndarray) -> SplitFeatures:
        key = (arm, seed, name)
        if key not in self._kept:
            if arm in ("pixels", "majority"):
                self._kept[key] = (pixel_features if arm == "pixels" else no_features)(self.setting, rows)
                self._origins[(arm, seed)] = "no encoder"
            else:
                extractor, self._origins[(arm, seed)] = build_arm(arm, self.config, self.setting, seed, self.files)
                self._kept[key] = extract(extractor, self.setting, rows, f"Features, {arm}, {name}")
        return self._kept[key]


def epochs_of(training: ArmTraining, epochs: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Train what is left, yielding (epoch, metrics)."""
    while training.trainer.epoch < epochs:
        metrics = training.epoch()
        yield training.trainer.epoch, metrics


def run(config: FinetuneConfig, tracker: Tracker, resolve: Resolve, folder: Path) -> dict[str, float]:
    """Train one arm; test images are left alone (compare reads them, once).

    Raises:
        UserError: bad data, parameters or encoder.
    """
    return train(config, open_arm(config, tracker, resolve), tracker, folder, resume=config.resume)


def open_arm(config: FinetuneConfig, tracker: Tracker, resolve: Resolve) -> ArmFactory:
    """The data, and the arm's encoder where it is one that was pretrained."""
    files = resolve(config.encoder) if arm_of(config.encoder) == "vae" else None
    return ArmFactory(config, prepare_setting(config, tracker), files)


def train(
    config: FinetuneConfig,
    factory: ArmFactory,
    tracker: Tracker,
    folder: Path,
    *,
    watch: Watch = lambda epoch, metrics: None,
    resume: str = "",
) -> dict[str, float]:
    """Train one arm of a factory that has its features already; every epoch is logged, and checkpoints are written.

    Args:
        watch: is told every epoch's metrics when they are logged and safe; what it raises ends the training.
        resume: the name by which an interrupted training is gone on with; its checkpoint is in `folder`.

    Raises:
        UserError: bad data, parameters or encoder. NonFiniteLoss: the training diverged.
    """
    arm = arm_of(config.encoder)
    training = factory.with_config(config).make(arm, config.seed)
    tracker.log_params(resolved(config, "finetune"))
    tracker.set_tags({"arm": arm, "encoder": training.origin, "mode": config.mode})
    checkpoint = folder / "last.safetensors"
    identity = {"split": factory.setting.dataset.split_id, "seed": config.seed, "epochs": config.epochs}
    if resume:
        facts = load_checkpoint(checkpoint, training.trainer)
        if facts != identity:
            raise UserError(f"resume={resume}: other data, seed or epochs than the run had: give the same")
    metrics: dict[str, float] = {}
    for epoch, metrics in epochs_of(training, config.epochs):
        tracker.log_metrics(metrics, step=epoch)
        if config.mode == "full" or epoch % 10 == 0 or epoch == config.epochs:  # a frozen head's epochs are short
            tracker.flush()  # a checkpoint ahead of what is logged would leave a hole in the curves after a kill
            save_checkpoint(checkpoint, training.trainer, identity)
        watch(epoch, metrics)
    return metrics or training.evaluate()  # resumed after its last epoch
