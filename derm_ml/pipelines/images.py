"""Which images a pretraining sees: the split's training images or a share of them, and those of another collection."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

from derm_ml.config import PretrainConfig
from derm_ml.data.checks import report_json
from derm_ml.data.dataset import prepare
from derm_ml.data.joined import Joined, unseen_rows
from derm_ml.data.page.html import page
from derm_ml.data.splits import label_fraction
from derm_ml.errors import UserError
from derm_ml.pipelines.setup import Setting
from derm_ml.progress import note_line
from derm_ml.tracking.base import Tracker

SAMPLED = 64  # images of another collection whose digests go with the encoder: the least are a random choice
DIGITS = 16  # hexadecimal, of a digest


class TrainingImages(NamedTuple):
    """uint8 [n, s, s, 3] and the rows that are trained on; the first `own` of them are the data's."""

    images: np.ndarray
    rows: np.ndarray
    own: int
    extra: str = ""  # fingerprint of the other collection
    sample: str = ""  # of what joined: digests of images drawn at random, by which it is known again in another form


def training_images(config: PretrainConfig, setting: Setting, tracker: Tracker) -> TrainingImages:
    """No label is looked at: a share is one of groups, nested in every larger one.

    Raises:
        UserError: the other collection cannot be read, or adds nothing.
    """
    dataset = setting.dataset
    rows = dataset.rows("train")
    rows = label_fraction(rows, dataset.groups(rows), np.zeros(len(rows)), config.image_fraction, config.split_seed)
    if not config.extra:
        return TrainingImages(dataset.images, rows, len(rows))
    extra = prepare(config.extra, config.image_size, None, labelled=False, parameter="extra")
    tracker.log_text(report_json(extra.report), "data/extra_report.json")
    tracker.log_text(page(extra), "data/extra_report.html")
    chosen, left_out = unseen_rows(dataset, extra)
    refused = {"refused (data/extra_report.json)": len(extra.report.refused)}
    left_out |= refused if extra.report.refused else {}
    if not len(chosen):
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
        raise UserError(f"extra={config.extra}: no image is left to train on: {reasons}")
    told = "; ".join(f"{count:,} left out: {reason}" for reason, count in sorted(left_out.items()))
    note_line(f"extra={config.extra}: {len(chosen):,} images join{'; ' * bool(told)}{told}")
    joined: np.ndarray = Joined(dataset.images, extra.images)  # type: ignore[assignment]
    tags = {"extra.fingerprint": extra.fingerprint, "extra.location": extra.location, "extra.images": str(len(chosen))}
    tracker.set_tags(tags | {"extra.left_out": json.dumps(left_out)})
    every = np.concatenate([rows, len(dataset.images) + chosen])
    sample = " ".join(content[:DIGITS] for content in sorted(extra.table["content"].iloc[chosen])[:SAMPLED])
    return TrainingImages(joined, every, len(rows), extra.fingerprint, sample)
