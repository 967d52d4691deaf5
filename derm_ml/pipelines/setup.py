"""What every pipeline starts with: the data, its record for the tracker, the device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from derm_ml.config import CommonConfig, HeadConfig
from derm_ml.data.batches import ImageBatches
from derm_ml.data.checks import report_json
from derm_ml.data.dataset import ImageDataset, prepare
from derm_ml.data.page.html import page
from derm_ml.data.source import Reading
from derm_ml.errors import UserError
from derm_ml.models.backbones import Encoder
from derm_ml.progress import note_line
from derm_ml.tracking.base import DatasetRecord, Tracker
from derm_ml.training.trainer import Precision, choose_device, choose_precision


@dataclass(frozen=True)
class Setting:
    """Data and machine of one pipeline."""

    dataset: ImageDataset
    device: torch.device
    precision: Precision

    def batches(self, rows: np.ndarray, batch_size: int = 256) -> ImageBatches:
        """Rows in order, without augmentation: for evaluation and features."""
        return ImageBatches(self.dataset.images, rows, batch_size, self.device)


def prepare_setting(config: CommonConfig, tracker: Tracker) -> Setting:
    """Open the data and the device, and record the data set, its report and its split.

    Raises:
        UserError: the data or the device cannot be used.
    """
    device = choose_device(config.device)
    dataset = prepare(config.data, config.image_size, config.split_seed, reading=Reading.of(config))
    if isinstance(config, HeadConfig) and len(dataset.classes) < 2:
        found = ", ".join(dataset.classes) or "none"
        raise UserError(f"one class is too few to compare on (labels found: {found}): give images of two or more")
    record = DatasetRecord(
        name=dataset.kind,
        source=dataset.location,
        fingerprint=dataset.fingerprint,
        split_id=dataset.split_id,
        table=dataset.table,
        counts=dataset.counts,
    )
    tracker.log_dataset(record)
    tracker.log_text(report_json(dataset.report), "data/report.json")
    tracker.log_text(page(dataset), "data/report.html")
    for warning in dataset.report.warnings:
        _say_once(warning)
    tags = {"data.fingerprint": dataset.fingerprint, "data.split": dataset.split_id, "data.kind": dataset.kind}
    tags |= {"data.classes_scored": ", ".join(f"{each} {dataset.averaged_over(each)}" for each in ("val", "test"))}
    tracker.set_tags(tags | {"data.location": dataset.location, "data.counts": json.dumps(dataset.counts)})
    return Setting(dataset, device, choose_precision(config.precision, device))


@cache
def _say_once(text: str) -> None:
    """Of several splits of the same data most warnings are the same."""
    note_line(f"data: {text}")


def place(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """On the device, channels last: two to four times the speed of contiguous convolutions on a CPU."""
    return module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@contextmanager
def features_only(encoder: Encoder) -> Iterator[Encoder]:
    """The encoder in eval mode, its training flag put back afterwards."""
    training = encoder.training
    try:
        yield encoder.eval()
    finally:
        encoder.train(training)
