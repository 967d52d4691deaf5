"""What the pipelines hand to the report: plain arrays and numbers, no model, no tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class VaeSnapshot:
    """What a VAE can do after `epoch` epochs. Images are uint8 [n, h, w, 3]."""

    epoch: int
    originals: np.ndarray  # [n, h, w, 3], validation images
    reconstructions: np.ndarray  # [n, h, w, 3], decoded posterior means
    samples: np.ndarray  # [m, h, w, 3], decoded draws from the prior
    traversals: np.ndarray  # [latents, steps, h, w, 3], the most active latents from -3 to 3 prior sd
    traversed: tuple[int, ...]  # which latents, most informative first
    rates: tuple[float, ...]  # their mean KL over the originals, in nats
    steps: tuple[float, ...]  # the values they take, in prior standard deviations


@dataclass(frozen=True, kw_only=True)
class ArmRun:
    """One arm at one seed: the history of every metric, one value an epoch, and its test figures."""

    arm: str  # vae, imagenet, random, pixels, majority
    seed: int
    history: Mapping[str, np.ndarray]  # "train/loss", "val/loss", "gap/loss", "train/accuracy", ... each [epochs]
    test: Mapping[str, float]  # "test/loss", "test/accuracy", "test/auroc", ...
    test_probabilities: np.ndarray  # [images, classes]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every arm x seed of one comparison. Test labels and groups are those of `test_probabilities`' rows."""

    data: str
    fingerprint: str
    backbone: str
    image_size: int
    mode: str  # frozen, full
    features: str  # last, stages
    protocol: str  # identical
    epochs: int
    classes: tuple[str, ...]
    counts: Mapping[str, int]  # images a split
    test_labels: np.ndarray  # [images] int
    test_groups: np.ndarray  # [images] group names
    runs: tuple[ArmRun, ...]
    encoder: str  # where the vae arm's encoder came from

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms in the order they were run."""
        return tuple(dict.fromkeys(run.arm for run in self.runs))

    def of(self, arm: str) -> tuple[ArmRun, ...]:
        """The runs of one arm, a seed each."""
        return tuple(run for run in self.runs if run.arm == arm)
