"""Full fine-tuning: an encoder and its head, all weights trained, the same recipe for every arm."""

from __future__ import annotations

import numpy as np
import torch

from derm_ml.config import HeadConfig
from derm_ml.data.augmentation import Augmentation
from derm_ml.data.batches import ImageBatches
from derm_ml.models.heads import Classifier, Extractor, LinearHead
from derm_ml.objectives.classification import ClassificationObjective
from derm_ml.pipelines.features import extract
from derm_ml.pipelines.setup import Setting, place
from derm_ml.progress import progress
from derm_ml.seeding import torch_generator
from derm_ml.training.evaluation import evaluate_classifier, probabilities
from derm_ml.training.trainer import Trainer
from derm_ml.training.witness import Witness


class FullTraining:
    """Trains an encoder and a head together, an epoch at a time."""

    def __init__(
        self, extractor: Extractor, setting: Setting, train: np.ndarray, val: np.ndarray, config: HeadConfig, seed: int
    ) -> None:
        self.setting, self.train, self.val, self.config, self.seed = setting, train, val, config, seed
        classes = setting.dataset.classes
        head = LinearHead(extractor.width, len(classes))
        start = extract(extractor, setting, train, "Features of train")
        head.standardise_by(start.features)
        model = place(Classifier(extractor, head), setting.device)
        codes = torch.from_numpy(setting.dataset.codes(np.arange(len(setting.dataset.table)))).to(setting.device)
        self.trainer = Trainer(
            ClassificationObjective(model, codes),
            steps=-(-len(train) // config.batch_size),
            epochs=config.epochs,
            lr=config.lr,
            weight_decay=config.weight_decay,
            seed=seed,
            precision=setting.precision,
            warmup=0.5,
        )
        self.witness = Witness()
        with torch.no_grad():
            self.witness.first_logits(head(start.features[: config.batch_size].to(head.mean.device)))

    def step(self) -> None:
        """Train one epoch with augmentation."""
        epoch = self.trainer.epoch
        batches = ImageBatches(
            self.setting.dataset.images,
            self.train,
            self.config.batch_size,
            self.setting.device,
            order=torch_generator(self.seed, "order", epoch),
            augmentation=Augmentation(torch_generator(self.seed, "augmentation", epoch)),
        )
        with progress(f"Epoch {epoch + 1}/{self.config.epochs}", len(self.train)) as bar:
            self.trainer.train_epoch(self.witness.watch(batches, images=True), bar)

    def evaluate(self) -> dict[str, float]:
        """Both splits' metrics without augmentation, with the present weights."""
        codes = self.setting.dataset.codes
        train = (self.predict(self.train), codes(self.train))
        return evaluate_classifier(train, (self.predict(self.val), codes(self.val)), self.setting.dataset.classes)

    def predict(self, rows: np.ndarray, setting: Setting | None = None) -> np.ndarray:
        """Class probabilities [n, k] of rows, of another data set where its setting is given."""
        batches = (setting or self.setting).batches(rows)
        return probabilities(self.trainer.objective.model, batches, self.setting.precision)
