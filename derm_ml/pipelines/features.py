"""Frozen features: computed once for an encoder, shared by every head and seed; and the head trained on them.

Features are made on the device and kept in main memory, where heads are trained: a step of a linear head is too small
for a GPU, which spends it waiting for its launch, and equal features give equal figures with and without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from derm_ml.config import HeadConfig
from derm_ml.metrics import classification_metrics, sample_losses
from derm_ml.models.backbones import Encoder
from derm_ml.models.heads import Extractor, FeatureExtractor, LinearHead, LinearHeads
from derm_ml.objectives.classification import ClassificationObjective, SideBySide
from derm_ml.pipelines.setup import Setting, features_only, place
from derm_ml.progress import progress
from derm_ml.seeding import torch_generator
from derm_ml.training.batches import TensorBatches
from derm_ml.training.evaluation import evaluate_classifier, gather, probabilities
from derm_ml.training.trainer import Group, Precision, Trainer
from derm_ml.training.witness import Witness


@dataclass(frozen=True)
class SplitFeatures:
    """Features [n, d], class codes [n] and row numbers [n] of one split, in main memory."""

    features: Tensor
    labels: np.ndarray
    rows: Tensor

    def take(self, chosen: np.ndarray) -> SplitFeatures:
        """Some of the rows, by their positions here."""
        positions = torch.from_numpy(chosen)
        return SplitFeatures(self.features[positions], self.labels[chosen], self.rows[positions])


def extract(extractor: Extractor, setting: Setting, rows: np.ndarray, title: str) -> SplitFeatures:
    """Features of labelled rows, in eval mode, without augmentation."""
    with features_only(extractor.encoder), progress(title, len(rows)) as bar:
        features = gather(place(extractor, setting.device), setting.batches(rows), setting.precision, bar)
    return SplitFeatures(features.cpu(), setting.dataset.codes(rows), torch.from_numpy(rows))


def pixel_features(setting: Setting, rows: np.ndarray) -> SplitFeatures:
    """The floor: mean colours of an 8 x 8 grid, [n, 192]."""
    parts = []
    for images, _ in setting.batches(rows):
        parts.append(torch.nn.functional.adaptive_avg_pool2d(images, 8).flatten(1))
    return SplitFeatures(torch.cat(parts).cpu(), setting.dataset.codes(rows), torch.from_numpy(rows))


def no_features(setting: Setting, rows: np.ndarray) -> SplitFeatures:
    """The lower floor: one constant, so that a head can only learn how frequent each class is."""
    return SplitFeatures(torch.zeros(len(rows), 1), setting.dataset.codes(rows), torch.from_numpy(rows))


class Recipe(NamedTuple):
    """What the protocol `tuned` may change, and whether the choice lies at the edge of the list."""

    lr: float
    weight_decay: float
    edge: bool = False


@contextmanager
def one_thread() -> Iterator[None]:
    """A head's step is a product of 64 x 1,792 by 1,792 x 7: further threads only wait for each other, on a busy
    machine for five times as long, and the figures would depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class HeadTraining:
    """One linear head on one encoder's features, an epoch at a time: the same recipe for every arm.

    The order of the batches depends on the seed alone, so that at one seed every arm sees the same batches. Features
    are standardised once, not in every step: the head's linear layer is what is trained.
    """

    def __init__(
        self, train: SplitFeatures, val: SplitFeatures, classes: tuple[str, ...], config: HeadConfig, seed: int
    ) -> None:
        self.classes, self.seed = classes, seed
        self.batch_size = config.batch_size
        self.head = LinearHead(train.features.shape[1], len(classes))
        self.head.standardise_by(train.features)
        self.train, self.val = self._standardised(train), self._standardised(val)
        self.precision = Precision(torch.device("cpu"))  # a linear map: float32 everywhere
        self.trainer = Trainer(
            ClassificationObjective(self.head.linear, _labels_by_row(train)),
            steps=-(-len(train.rows) // self.batch_size),
            epochs=config.epochs,
            lr=config.lr * HEAD_LR_SCALE,
            weight_decay=config.weight_decay,
            seed=seed,
            precision=self.precision,
        )
        self.witness = Witness()
        with torch.no_grad():
            self.witness.first_logits(self.head.linear(self.train.features[: self.batch_size]))

    def step(self) -> None:
        """Train one epoch."""
        order = torch_generator(self.seed, "order", self.trainer.epoch)
        batches = TensorBatches(self.train.features, self.train.rows, self.batch_size, order)
        with one_thread():
            self.trainer.train_epoch(self.witness.watch(batches))

    def evaluate(self) -> dict[str, float]:
        """Metrics of both splits with the present weights, and the gap."""
        train, val = ((self._predict(split), split.labels) for split in (self.train, self.val))
        return evaluate_classifier(train, val, self.classes)

    def predict(self, split: SplitFeatures) -> np.ndarray:
        """Class probabilities [n, k] of an encoder's features."""
        return self._predict(self._standardised(split))

    def _standardised(self, split: SplitFeatures) -> SplitFeatures:
        return replace(split, features=self.head.standardise(split.features))

    def _predict(self, split: SplitFeatures) -> np.ndarray:
        return probabilities(self.head.linear, TensorBatches(split.features, split.rows, 8192), self.precision)


def side_by_side(
    train: SplitFeatures, val: SplitFeatures, classes: int, config: HeadConfig, recipes: Sequence[Recipe], seed: int
) -> np.ndarray:
    """Validation log-loss [recipes] after the last epoch of one head a recipe, nan where it diverged.

    Each is trained as `HeadTraining` would train it alone, on the same batches; but a batch is fetched once, and one
    product serves them all.
    """
    scaling = LinearHead(train.features.shape[1], classes)
    scaling.standardise_by(train.features)
    inputs = scaling.standardise(train.features)
    heads = LinearHeads(inputs.shape[1], classes, len(recipes))
    precision = Precision(torch.device("cpu"))
    trainer = Trainer(
        SideBySide(heads, _labels_by_row(train)),
        steps=-(-len(train.rows) // config.batch_size),
        epochs=config.epochs,
        groups=[
            Group([weight, bias], recipe.lr * HEAD_LR_SCALE, recipe.weight_decay)
            for weight, bias, recipe in zip(heads.weights, heads.biases, recipes, strict=True)
        ],
        seed=seed,
        precision=precision,
    )
    with one_thread():
        for epoch in range(config.epochs):
            order = torch_generator(seed, "order", epoch)
            trainer.train_epoch(TensorBatches(inputs, train.rows, config.batch_size, order))
    batches = TensorBatches(scaling.standardise(val.features), val.rows, 8192)
    spoken = gather(heads, batches, precision).double().softmax(dim=1).cpu().numpy()
    return np.array([sample_losses(spoken[:, :, number], val.labels).mean() for number in range(len(recipes))])


def _labels_by_row(split: SplitFeatures) -> Tensor:
    """Class codes of all rows up to the last that the split has, -1 where it has none: what an objective looks up."""
    codes = torch.full((int(split.rows.max()) + 1,), -1, dtype=torch.int64)
    codes[split.rows] = torch.from_numpy(split.labels)
    return codes


# The head divides its standardised features by sqrt(d); Adam's step on the logits of d weights is then lr * sqrt(d)
# at most. Ten times the configured rate reaches the plateau of validation loss within the default epochs.
HEAD_LR_SCALE = 10.0


def probe(encoder: Encoder, setting: Setting, batch_size: int, seed: int, epochs: int = 40) -> dict[str, float]:
    """A frozen linear probe's validation metrics, `probe/auroc` first among them: the search objective.

    Trained on the labelled training images with the heads' recipe; nothing when a split has no labels, or all have one.
    `probe/gap` is its overfitting gap, val_loss - train_loss: unlike the ELBO's it can be compared between betas.
    """
    dataset = setting.dataset
    if not dataset.labelled:
        return {}
    labelled = {split: dataset.rows(split, labelled=True) for split in ("train", "val")}
    train, val = (
        extract(FeatureExtractor(encoder), setting, rows, f"Features of {split}") for split, rows in labelled.items()
    )
    training = HeadTraining(train, val, dataset.classes, HeadConfig(batch_size=batch_size, epochs=epochs), seed)
    for _ in range(epochs):
        training.step()
    seen = classification_metrics(training.predict(train), train.labels, dataset.classes)
    metrics = classification_metrics(training.predict(val), val.labels, dataset.classes)
    named = {f"probe/{name}": metrics[name] for name in ("auroc", "loss", "accuracy", "balanced_accuracy")}
    return named | {"probe/gap": metrics["loss"] - seen["loss"]}
