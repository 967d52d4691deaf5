"""Finetune: one arm at one seed, frozen or full, its metrics and gap an epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from derm_ml.config import FLOORS, FinetuneConfig, HeadConfig, resolved
from derm_ml.data.splits import label_fraction
from derm_ml.errors import UserError
from derm_ml.models.erasure import Erasure
from derm_ml.models.heads import ErasedExtractor, Extractor
from derm_ml.pipelines.arms import EncoderFiles, Resolve, arm_of, build_arm
from derm_ml.pipelines.features import (
    HeadTraining,
    Recipe,
    SplitFeatures,
    extract,
    no_features,
    pixel_features,
    side_by_side,
)
from derm_ml.pipelines.full import FullTraining
from derm_ml.pipelines.planted import artefact_erasure
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.tracking.base import Tracker
from derm_ml.training.checkpoint import load_checkpoint, save_checkpoint
from derm_ml.training.trainer import NonFiniteLoss, Trainer
from derm_ml.training.witness import Witness

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class ArmTraining:
    """An arm being trained: an epoch a step, its metrics, and its prediction of any split's images."""

    trainer: Trainer
    origin: str
    step: Callable[[], None]
    evaluate: Callable[[], dict[str, float]]
    predict: Callable[[str], np.ndarray]  # val, test or external: class probabilities [n, k]
    witness: Witness


@dataclass
class ArmFactory:
    """Makes arms of one setting; frozen features are computed once an encoder, of `rows`, and kept.

    Attributes:
        encoders: of the arms whose encoder comes from a registry or a file: vae, plain, and champion, the registry's
            present one, an arm for promotion alone.
        rows: the images whose features are wanted. A pipeline that must not see test images leaves them out.
        external: another collection, all of whose labelled images may be predicted.
    """

    config: HeadConfig
    setting: Setting
    encoders: Mapping[str, EncoderFiles]
    rows: np.ndarray
    external: Setting | None = None
    _kept: dict[tuple[str, bool], SplitFeatures] = field(default_factory=dict)
    _origins: dict[str, str] = field(default_factory=dict)
    _erasures: dict[str, Erasure] = field(default_factory=dict)

    def with_config(self, config: HeadConfig) -> ArmFactory:
        """The same with another recipe for the head: the features are shared."""
        return replace(self, config=config)

    def with_split(self, split_seed: int, setting: Setting, encoders: Mapping[str, EncoderFiles]) -> ArmFactory:
        """The same images split otherwise: features of encoders that saw none of them are shared."""
        config = replace(self.config, split_seed=split_seed)
        return replace(self, config=config, setting=setting, encoders=encoders)

    def make(self, arm: str, seed: int, mode: str, fraction: float) -> ArmTraining:
        """The arm at a seed, trained on a fraction of the labels, ready for its first epoch."""
        config, dataset = self.config, self.setting.dataset
        train, val = self.training_rows(fraction), dataset.rows("val", labelled=True)
        if mode == "full" and arm not in FLOORS:
            extractor, origin = build_arm(arm, config, self.setting, seed, self._files(arm))
            full = FullTraining(extractor, self.setting, train, val, config, seed)

            def predict(name: str) -> np.ndarray:
                return full.predict(self._rows(name), self.external if name == "external" else self.setting)

            return ArmTraining(full.trainer, origin, full.step, full.evaluate, predict, full.witness)
        features = self._features(arm, seed)
        head = HeadTraining(*self._pair(features, train, val), dataset.classes, config, seed)

        def predict_frozen(name: str) -> np.ndarray:
            if name == "external":
                return head.predict(self._features(arm, seed, external=True))
            return head.predict(features.take(np.searchsorted(self.rows, self._rows(name))))

        origin = self._origins[self._key(arm, seed)]
        return ArmTraining(head.trainer, origin, head.step, head.evaluate, predict_frozen, head.witness)

    def validation_losses(
        self, arm: str, seed: int, mode: str, fraction: float, recipes: Sequence[Recipe]
    ) -> np.ndarray:
        """Validation log-loss [recipes] of the arm after its last epoch with each recipe, nan where it diverged."""
        if mode == "frozen" or arm in FLOORS:
            dataset = self.setting.dataset
            rows = self.training_rows(fraction), dataset.rows("val", labelled=True)
            pair = self._pair(self._features(arm, seed), *rows)
            return side_by_side(*pair, len(dataset.classes), self.config, recipes, seed)
        losses = []
        for recipe in recipes:
            own = replace(self.config, lr=recipe.lr, weight_decay=recipe.weight_decay)
            training = self.with_config(own).make(arm, seed, mode, fraction)
            try:
                for _ in range(own.epochs):
                    training.step()
                losses.append(training.evaluate()["val/loss"])
            except NonFiniteLoss:
                losses.append(np.nan)
        return np.array(losses)

    def check(self, arms: Iterable[str]) -> None:
        """Build every arm's encoder once.

        Raises:
            UserError: weights cannot be had, do not fit, or saw images that they must not have seen.
        """
        for arm in arms:
            if arm not in FLOORS:
                build_arm(arm, self.config, self.setting, self.config.seed, self._files(arm))

    def extractor(self, arm: str, seed: int) -> tuple[Extractor, str]:
        """What makes the arm's frozen features, and where its weights came from."""
        extractor, origin = build_arm(arm, self.config, self.setting, seed, self._files(arm))
        if self.config.erase == "none":
            return extractor, origin
        key = self._key(arm, seed)
        if key not in self._erasures:
            self._erasures[key] = artefact_erasure(extractor, self.setting)
        return ErasedExtractor(extractor, self._erasures[key]), origin

    def training_rows(self, fraction: float) -> np.ndarray:
        """Labelled training images, or the nested share of them."""
        dataset = self.setting.dataset
        rows = dataset.rows("train", labelled=True)
        groups, codes = dataset.groups(rows), dataset.codes(rows)
        return label_fraction(rows, groups, codes, fraction, self.config.split_seed)

    def _pair(self, features: SplitFeatures, train: np.ndarray, val: np.ndarray) -> tuple[SplitFeatures, SplitFeatures]:
        taken = [features.take(np.searchsorted(self.rows, rows)) for rows in (train, val)]
        return taken[0], taken[1]

    def _rows(self, name: str) -> np.ndarray:
        if name == "external":
            assert self.external is not None
            return self.external.dataset.rows("test", labelled=True)
        return self.setting.dataset.rows(name, labelled=True)

    def _files(self, arm: str) -> EncoderFiles | None:
        """Of the arm's encoder; the random arm is the vae arm's network, untrained (without one the plain arm's)."""
        return self.encoders.get(arm) if arm != "random" else self.encoders.get("vae", self.encoders.get("plain"))

    def _key(self, arm: str, seed: int) -> str:
        """Only the random arm's encoder depends on the seed; on the split pretrained ones do, and what is erased."""
        files = self.encoders.get(arm)
        erased = f"/{self.config.split_seed}" if self.config.erase != "none" and arm not in FLOORS else ""
        return f"{arm}/{seed if arm == 'random' else files.uri if files else ''}{erased}"

    def _features(self, arm: str, seed: int, *, external: bool = False) -> SplitFeatures:
        key = self._key(arm, seed)
        if (key, external) not in self._kept:
            setting = self.external if external and self.external else self.setting
            rows = self._rows("external") if external else self.rows
            if arm in FLOORS:
                made = (pixel_features if arm == "pixels" else no_features)(setting, rows)
                self._origins[key] = "no encoder"
            else:
                extractor, self._origins[key] = self.extractor(arm, seed)
                made = extract(extractor, setting, rows, f"Features, {arm}{', external' * external}")
            self._kept[(key, external)] = made
        return self._kept[(key, external)]


def epochs_of(training: ArmTraining, epochs: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Train what is left, yielding (epoch, metrics)."""
    while training.trainer.epoch < epochs:
        training.step()
        yield training.trainer.epoch, training.evaluate()


def run(config: FinetuneConfig, tracker: Tracker, resolve: Resolve, folder: Path) -> dict[str, float]:
    """Train one arm; test images are left alone (compare reads them).

    Raises:
        UserError: bad data, parameters or encoder.
    """
    return train(config, open_arm(config, tracker, resolve), tracker, folder, resume=config.resume)


def open_arm(config: FinetuneConfig, tracker: Tracker, resolve: Resolve) -> ArmFactory:
    """The data, and the arm's encoder where it is one that was pretrained."""
    encoders = {"vae": resolve(config.encoder)} if arm_of(config.encoder) == "vae" else {}
    setting = prepare_setting(config, tracker)
    seen = [setting.dataset.rows(split, labelled=True) for split in ("train", "val")]
    return ArmFactory(config, setting, encoders, np.sort(np.concatenate(seen)))


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
    training = factory.with_config(config).make(arm, config.seed, config.mode, config.label_fraction)
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
