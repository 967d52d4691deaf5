"""What the pipelines hand to the report: plain arrays and numbers, no model, no tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from derm_ml.latent_results import LatentStudy

TOLD, COST = "artefact/", "artefact_cost/"  # prefixes of the figures of planted artefacts


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


class Place(NamedTuple):
    """Where in the design of a comparison a run stands, but for its arm, split and seed."""

    protocol: str  # identical, tuned
    mode: str  # frozen, full
    fraction: float  # of the labelled training groups, in (0, 1]

    @property
    def text(self) -> str:
        """`tuned, full, 10 % of the labels`."""
        return f"{self.protocol}, {self.mode}, {100 * self.fraction:g} % of the labels"


@dataclass(frozen=True, kw_only=True)
class ArmRun:
    """One arm at one seed on one split: every metric's history, and what it said of every image afterwards."""

    arm: str  # vae, imagenet, random, pixels, majority; champion: the registry's, for promotion alone
    split: int  # the split's seed
    seed: int
    place: Place
    lr: float
    weight_decay: float
    history: Mapping[str, np.ndarray]  # "train/loss", "val/loss", "gap/loss", "train/accuracy", ... each [epochs]
    val_probabilities: np.ndarray  # [validation images, classes], after the last epoch
    test_probabilities: np.ndarray  # [test images, classes]
    external_probabilities: np.ndarray | None = None  # [external images, classes]
    feed: str = ""  # SHA-256 over the head's first logits and the batches it was fed: equal under `identical`
    origin: str = ""  # where the encoder came from
    seconds: float = 0.0  # of wall time: its training, its tuning included
    edge: bool = False  # the tuned choice lies at the edge of what was tried

    def last(self, metric: str) -> float:
        """A metric after the last epoch."""
        return float(self.history[metric][-1])


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """One split's images, row for row as in the runs' probabilities."""

    seed: int
    identity: str  # hex SHA-256 of the split table
    counts: Mapping[str, int]  # images a split: train, val, test
    train_groups: np.ndarray  # the groups in training, each once
    val_labels: np.ndarray
    val_groups: np.ndarray
    test_labels: np.ndarray
    test_groups: np.ndarray
    test_ids: np.ndarray  # image ids
    encoder: str = ""  # where the vae arm's encoder came from


@dataclass(frozen=True, kw_only=True)
class External:
    """Another collection that the trained heads were scored on."""

    location: str
    fingerprint: str
    labels: np.ndarray
    groups: np.ndarray
    left_out: Mapping[str, int]  # why, and how many images


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every run of one comparison."""

    data: str
    kind: str
    fingerprint: str
    backbone: str
    image_size: int
    features: str  # last, stages
    epochs: int
    gap_margin: float
    classes: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    runs: tuple[ArmRun, ...]
    erase: str = "none"  # what was taken out of the features
    external: External | None = None
    latents: LatentStudy | None = None  # of the first split's VAE, where the vae arm has its VAE
    vae_backbone: str = ""  # of the vae arm, where it is not ImageNet's
    vae_method: str = "VAE"  # what pretrained the vae arm, in a word: VAE, VAE + InfoNCE, InfoNCE
    vae_objective: str = ""  # what the vae arm's pretraining minimised, in a line
    vae_recipe: str = ""  # plain, the paper's, or composed
    champion: str = ""  # the registry's champion, where it was run beside the vae arm
    seconds: float = 0.0  # of wall time, all in all

    @property
    def one_architecture(self) -> bool:
        """Whether every arm with an encoder has the same architecture."""
        return self.vae_backbone in ("", self.backbone)

    @property
    def readout(self) -> str:
        """Where features were taken, and what was taken out of them."""
        return self.features + f" without {self.erase}" * (self.erase != "none")

    @property
    def averaged_over(self) -> str:
        """How many classes the averages over classes (macro AUROC, balanced accuracy) of test images are over."""
        counts = sorted({len(np.unique(facts.test_labels)) for facts in self.splits})
        return f"{' to '.join(map(str, (counts[0], counts[-1])[: len(counts)]))} of {len(self.classes)} classes"

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms in the order they were run; the registry's champion is not one of them."""
        return tuple(dict.fromkeys(run.arm for run in self.runs if run.arm != "champion"))

    @property
    def places(self) -> tuple[Place, ...]:
        """The places in the order they were run: the verdict is spoken on the first."""
        return tuple(dict.fromkeys(run.place for run in self.runs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(sorted({run.seed for run in self.runs}))

    def of(self, arm: str, place: Place, split: int | None = None) -> tuple[ArmRun, ...]:
        """The runs of one arm at a place, of all splits or of one, in the order of split and seed."""
        found = [run for run in self.runs if run.arm == arm and run.place == place and split in (None, run.split)]
        return tuple(sorted(found, key=lambda run: (run.split, run.seed)))


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """The arms of a plan: their heads as a comparison's runs, and what was measured while they were pretrained."""

    comparison: Comparison
    arms: tuple[str, ...]  # in the plan's order: the others are held against the first
    references: tuple[str, ...]  # arms that all are held against: the first, and ImageNet's
    images: str  # what is told was measured on: val or test
    curves: Mapping[str, tuple[Sequence[Mapping[str, float]], ...]]  # an arm's pretrainings, each epoch's metrics
    artefacts: Mapping[str, tuple[Mapping[str, float], ...]]  # of each planted artefact, a split each
    latents: Mapping[str, tuple[Mapping[str, float], ...]]  # of pretrained arms, a split each: see VaeScores.of
