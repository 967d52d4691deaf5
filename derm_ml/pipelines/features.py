"""Frozen features: computed once for an encoder, shared by every head and seed; and the head trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from derm_ml.config import HeadConfig
from derm_ml.metrics import classification_metrics
from derm_ml.models.backbones import Encoder
from derm_ml.models.heads import Extractor, FeatureExtractor, LinearHead
from derm_ml.objectives.classification import ClassificationObjective
from derm_ml.pipelines.setup import Setting, features_only, place
from derm_ml.progress import progress
from derm_ml.seeding import torch_generator
from derm_ml.training.batches import TensorBatches
from derm_ml.training.evaluation import evaluate_classifier, gather, probabilities
from derm_ml.training.trainer import Precision, Trainer


@dataclass(frozen=True)
class SplitFeatures:
    """Features [n, d] on the device, class codes [n] and row numbers [n] of one split."""

    features: Tensor
    labels: np.ndarray
    rows: Tensor


def extract(extractor: Extractor, setting: Setting, rows: np.ndarray, title: str) -> SplitFeatures:
    """Features of labelled rows, in eval mode, without augmentation."""
    with features_only(extractor.encoder), progress(title, len(rows)) as bar:
        features = gather(place(extractor, setting.device), setting.batches(rows), setting.precision, bar)
    return SplitFeatures(features, setting.dataset.codes(rows), torch.from_numpy(rows).to(setting.device))


def pixel_features(setting: Setting, rows: np.ndarray) -> SplitFeatures:
    """The floor: mean colours of an 8 x 8 grid, [n, 192]."""
    parts = []
    for images, _ in setting.batches(rows):
        parts.append(torch.nn.functional.adaptive_avg_pool2d(images, 8).flatten(1))
    return SplitFeatures(torch.cat(parts), setting.dataset.codes(rows), torch.from_numpy(rows).to(setting.device))


def no_features(setting: Setting, rows: np.ndarray) -> SplitFeatures:
    """The lower floor: one constant, so that a head can only learn how frequent each class is."""
    constant = torch.zeros(len(rows), 1, device=setting.device)
    return SplitFeatures(constant, setting.dataset.codes(rows), torch.from_numpy(rows).to(setting.device))


class HeadTraining:
    """One linear head on one encoder's features, an epoch at a time: the same recipe for every arm.

    The order of the batches depends on the seed alone, so that at one seed every arm sees the same batches.
    """

    def __init__(
        self, train: SplitFeatures, val: SplitFeatures, classes: tuple[str, ...], config: HeadConfig, seed: int
    ) -> None:
        self.train, self.val, self.classes, self.seed = train, val, classes, seed
        device = train.features.device
        self.batch_size = config.batch_size
        self.head = LinearHead(train.features.shape[1], len(classes)).to(device)
        self.head.standardise_by(train.features)
        by_row = torch.full((int(train.rows.max()) + 1,), -1, dtype=torch.int64, device=device)
        by_row[train.rows] = torch.from_numpy(train.labels).to(device)
        self.precision = Precision(device)  # a linear map: float32 everywhere
        self.trainer = Trainer(
            ClassificationObjective(self.head, by_row),
            steps=-(-len(train.rows) // self.batch_size),
            epochs=config.epochs,
            lr=config.lr * HEAD_LR_SCALE,
            weight_decay=config.weight_decay,
            seed=seed,
            precision=self.precision,
        )

    def epoch(self) -> dict[str, float]:
        """Train one epoch; metrics of both splits with the weights at its end, and the gap."""
        order = torch_generator(self.seed, "order", self.trainer.epoch)
        self.trainer.train_epoch(TensorBatches(self.train.features, self.train.rows, self.batch_size, order))
        return self.evaluate()

    def evaluate(self) -> dict[str, float]:
        """Metrics of both splits with the present weights, and the gap."""
        train = (self.predict(self.train), self.train.labels)
        return evaluate_classifier(train, (self.predict(self.val), self.val.labels), self.classes)

    def predict(self, split: SplitFeatures) -> np.ndarray:
        """Class probabilities [n, k]."""
        return probabilities(self.head, TensorBatches(split.features, split.rows, 8192), self.precision)


# The head divides its standardised features by sqrt(d); Adam's step on the logits of d weights is then lr * sqrt(d)
# at most. Ten times the configured rate reaches the plateau of validation loss within the default epochs.
HEAD_LR_SCALE = 10.0


def probe(encoder: Encoder, setting: Setting, batch_size: int, seed: int, epochs: int = 40) -> dict[str, float]:
    """A frozen linear probe's validation metrics, `probe/auroc` first among them: the search objective.

    Trained on the labelled training images with the heads' recipe; nothing when a split has no labels, or all have one.
    `probe/gap` is its overfitting gap, val_loss - train_loss: unlike the ELBO's it can be compared between betas.
    """
    dataset = setting.dataset
    labelled = {split: dataset.rows(split, labelled=True) for split in ("train", "val")}
    if len(dataset.classes) < 2 or not all(map(len, labelled.values())):
        return {}
    train, val = (
        extract(FeatureExtractor(encoder), setting, rows, f"Features of {split}") for split, rows in labelled.items()
    )
    training = HeadTraining(train, val, dataset.classes, HeadConfig(batch_size=batch_size, epochs=epochs), seed)
    for _ in range(epochs):
        order = torch_generator(seed, "order", training.trainer.epoch)
        training.trainer.train_epoch(TensorBatches(train.features, train.rows, batch_size, order))
    seen = classification_metrics(training.predict(train), train.labels, dataset.classes)
    metrics = classification_metrics(training.predict(val), val.labels, dataset.classes)
    named = {f"probe/{name}": metrics[name] for name in ("auroc", "loss", "accuracy", "balanced_accuracy")}
    return named | {"probe/gap": metrics["loss"] - seen["loss"]}
