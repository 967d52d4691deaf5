"""What a user may set: one frozen dataclass an entry point, checked when it is made.

The command line, MLproject and MLflow's parameters all take their names and defaults from these fields.
Configurations stop at the door: pipelines build models and loops from plain keyword arguments.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from derm_ml.errors import UserError

ARMS = ("vae", "imagenet", "random", "pixels", "majority")
FLOORS = ("pixels", "majority")
PROTOCOLS = ("identical", "tuned")
MODES = ("frozen", "full")
FEATURES = ("last", "stages", "latent")
LIKELIHOODS = ("gaussian", "laplace", "logistic", "gradient")
INVARIANCES = ("infonce", "vicreg", "barlow")
PENALTIES = ("kl", "tc", "dip1", "dip2", "capacity")


def option(default: Any, text: str) -> Any:
    """A field with its default and the help text that the command line shows."""
    return field(default=default, metadata={"help": text})


def _in_range(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    inside = math.isfinite(value) and (value > low if open_low else value >= low) and value <= high
    if not inside:
        bound = "above" if open_low else "at least"
        upper = "" if math.isinf(high) else f" and at most {high:g}"
        raise UserError(f"{name}={value!r} does not fit: it must be {bound} {low:g}{upper}")


def _one_of(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise UserError(f"{name}={value!r} is not known: choose one of {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """What every entry point takes."""

    data: str = option("synthetic", "folder of images, CSV file, 'synthetic[:n=600,size=96,seed=0]' or 'dermamnist'")
    image_size: int = option(64, "side in pixels: 32 to 256, divisible by 32")
    batch_size: int = option(64, "images a step")
    weight_decay: float = option(0.01, "AdamW's decoupled weight decay")
    seed: int = option(0, "seed of weights, batch order, noise and augmentation")
    split_seed: int = option(0, "seed of the split into training, validation and test groups")
    backbone: str = option("auto", "any timm model; auto: tf_efficientnet_lite0 on a CPU, convnext_tiny on a GPU")
    device: str = option("auto", "auto, cpu or cuda")
    precision: str = option("auto", "auto (fp32 on a CPU, bf16 on a GPU), fp32 or bf16")
    experiment: str = option("derm_ml", "MLflow experiment for a run that mlflow run did not make")

    def __post_init__(self) -> None:
        if not self.data.strip():
            raise UserError("data is empty: give a folder of images, a CSV file, 'synthetic' or 'dermamnist'")
        if not 32 <= self.image_size <= 256 or self.image_size % 32:
            raise UserError(f"image_size={self.image_size} does not fit: it must be 32, 64, ... 256 (divisible by 32)")
        _in_range("batch_size", self.batch_size, 2, 65536)
        _in_range("weight_decay", self.weight_decay, 0, 10)
        _in_range("seed", self.seed, 0, 2**31 - 1)
        _in_range("split_seed", self.split_seed, 0, 2**31 - 1)
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        _one_of("precision", self.precision, ("auto", "fp32", "bf16"))


@dataclass(frozen=True, kw_only=True)
class SearchConfig(CommonConfig):
    """What an entry point takes that can search."""

    trials: int = option(0, "trainings that Optuna spends on a search, by all its workers together; 0: one training")
    hours: float = option(0.0, "no trial starts later than this many hours after the search did; 0: no limit")
    study: str = option("", "name of the study to start or join; empty: named by data, architecture and settings")
    workers: int = option(1, "processes that search on this machine")

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range("trials", self.trials, 0, 1_000_000)
        _in_range("hours", self.hours, 0, 1e6)
        _in_range("workers", self.workers, 1, 1024)
        if len(self.study) > 200 or not self.study.isprintable():
            raise UserError(f"study={self.study[:40]!r}... does not fit: at most 200 printable characters")
        resume: str = getattr(self, "resume", "")
        if self.trials and resume:
            raise UserError("resume is for one training: a search goes on by itself when it is started again")
        if not self.trials and (self.hours or self.study or self.workers > 1):
            raise UserError("hours, study and workers belong to a search: give trials as well, trials=50 say")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(SearchConfig):
    """A VAE on the training images alone, without labels."""

    image_fraction: float = option(1.0, "share of the training groups that is pretrained on, nested and by group")
    extra: str = option("", "another collection whose images join pretraining, labels unread; given as data is")
    epochs: int = option(18, "passes over the training images")
    lr: float = option(1e-3, "peak learning rate (linear warm-up over the first epoch, then a cosine to zero)")
    latent: str = option("vector", "the Gaussian posterior: vector, or map (one vector a position of the last map)")
    latent_dim: int = option(128, "dimensions of the posterior, or of each position's")
    decoder_width: float = option(1.0, "factor on the decoder's channels: 0.5 takes a third of its time")
    likelihood: str = option(
        "gaussian",
        "of an image, one learnt scale: gaussian, laplace (L1), logistic (discretised), gradient (edges), none",
    )
    regulariser: str = option(
        "kl", "what beta weighs: kl (beta-VAE), tc (beta-TCVAE), dip1, dip2 (DIP-VAE-I, -II), capacity (annealed)"
    )
    beta: float = option(1.0, "weight of the regulariser; with kl it is that of the rate, and 1 is the ELBO")
    free_bits: float = option(0.0, "nats that each latent's rate may take at no cost (kl only)")
    capacity: float = option(25.0, "nats that the rate is drawn to (capacity only)")
    kl_warmup: int = option(3, "epochs over which the regulariser rises linearly from zero")
    kl_cycles: int = option(0, "instead of once, it rises in each of so many equal parts of the training (0: once)")
    augment: float = option(1.0, "strength of augmentation: 0 none, 1 flips, quarter turns and light colour changes")
    crop: float = option(1.0, "least share of the area that a random, turned crop keeps; 1: the whole image")
    artefacts: float = option(0.0, "probability of hair, ink, a ruler, a vignette, a colour cast on a view, each")
    mask: float = option(0.0, "share of the image (8 x 8 squares) that is hidden from the encoder, not from the loss")
    noise: float = option(0.0, "standard deviation of the noise on what the encoder sees; images are in [0, 1]")
    invariance: str = option("none", "of the posterior mean between two views: none, infonce, vicreg or barlow")
    invariance_weight: float = option(1.0, "of the invariance, against nats a pixel value")
    figures_every: int = option(6, "epochs between probes, and reconstruction, sample and traversal figures")
    keep: str = option("last", "the encoder that is kept: last, or best (of the probes on validation)")
    patience: int = option(0, "probes without a better one after which training stops (keep=best; 0: never)")
    space: str = option(
        "beta,lr", "searched: of beta, lr, latent_dim, weight_decay, augment; lr=1e-4..1e-2 sets a range"
    )
    objective: str = option("auto", "of the search: auroc (auto, with labels), elbo (auto, without), or auroc,gap")
    resume: str = option("", "ID of an interrupted run to go on with, in the same MLflow run")

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range("image_fraction", self.image_fraction, 0, 1, open_low=True)
        _one_of("objective", self.objective, ("auto", "auroc", "elbo", "auroc,gap"))
        _in_range("epochs", self.epochs, 1, 100_000)
        _in_range("lr", self.lr, 0, 10)
        _in_range("latent_dim", self.latent_dim, 1, 8192)
        _in_range("decoder_width", self.decoder_width, 0.125, 8)
        _one_of("latent", self.latent, ("vector", "map"))
        _one_of("likelihood", self.likelihood, (*LIKELIHOODS, "none"))
        _one_of("regulariser", self.regulariser, PENALTIES)
        _in_range("beta", self.beta, 0, 1e6)
        _in_range("free_bits", self.free_bits, 0, 100)
        _in_range("capacity", self.capacity, 0, 1e6)
        _in_range("kl_cycles", self.kl_cycles, 0, self.epochs)
        if self.free_bits and self.regulariser != "kl":
            raise UserError(f"free_bits={self.free_bits:g} is for regulariser=kl, not {self.regulariser}: leave it out")
        _in_range("kl_warmup", self.kl_warmup, 0, 100_000)
        _in_range("augment", self.augment, 0, 5)
        _in_range("crop", self.crop, 0.05, 1)
        _in_range("artefacts", self.artefacts, 0, 1)
        _in_range("mask", self.mask, 0, 0.95)
        _in_range("noise", self.noise, 0, 1)
        _one_of("invariance", self.invariance, ("none", *INVARIANCES))
        _in_range("invariance_weight", self.invariance_weight, 0, 1e6, open_low=True)
        if self.invariance != "none" and not (self.augment or self.artefacts) and self.crop == 1:
            raise UserError("two views of an image are the same with augment=0 and crop=1: give one of them")
        if self.invariance == "none" and self.likelihood == "none":
            raise UserError("likelihood=none leaves nothing to learn from: give an invariance, infonce say")
        _in_range("figures_every", self.figures_every, 1, 100_000)
        _one_of("keep", self.keep, ("last", "best"))
        _in_range("patience", self.patience, 0, 100_000)
        if self.patience and self.keep != "best":
            raise UserError("patience stops after the best encoder, so it needs keep=best")


@dataclass(frozen=True, kw_only=True)
class HeadConfig(CommonConfig):
    """What finetune and compare share: one head and one recipe for every arm."""

    epochs: int = option(40, "passes over the labelled training images")
    lr: float = option(1e-3, "peak learning rate of the head (cosine to zero)")
    features: str = option("stages", "stages (every stage pooled and concatenated), last, or latent (a VAE's mean)")
    imagenet_weights: str = option("auto", "auto (timm, else the packaged Lite0 weights) or a safetensors file")

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range("epochs", self.epochs, 1, 100_000)
        _in_range("lr", self.lr, 0, 10)
        _one_of("features", self.features, FEATURES)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(HeadConfig, SearchConfig):
    """One arm at one seed; with trials, its best learning rate and weight decay."""

    encoder: str = option(
        "imagenet", "imagenet, random, pixels, majority, models:/derm-encoder@champion, runs:/ID or a file"
    )
    mode: str = option("frozen", "frozen (the encoder extracts features, the paper's) or full (all weights train)")
    label_fraction: float = option(1.0, "fraction of the labelled training groups used, nested and by group")
    space: str = option("lr,weight_decay", "searched: of lr, weight_decay; lr=1e-4..1e-1 sets a range")
    resume: str = option("", "ID of an interrupted run to go on with, in the same MLflow run")

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range("label_fraction", self.label_fraction, 0, 1, open_low=True)
        _one_of("mode", self.mode, MODES)


@dataclass(frozen=True, kw_only=True)
class DesignConfig(HeadConfig):
    """What compare and ablate share: seeds x splits x label fractions x protocols x modes."""

    seeds: int = option(3, "runs of each arm, at seed, seed + 1, ...")
    splits: int = option(1, "splits of the data, at split_seed, split_seed + 1, ...; each has its own encoder")
    label_fractions: str = option("1", "fractions of the labelled training groups, nested: 0.01,0.1,1 say")
    protocols: str = option(
        "identical,tuned", "identical (one recipe for every arm) and tuned (each arm's best of 16, by validation loss)"
    )
    modes: str = option("frozen", "frozen (features, then a head), full (all weights train), or both")
    gap_margin: float = option(0.05, "a gap of the loss within this many nats of zero counts as near zero")
    resume: str = option("", "ID of an interrupted run to go on with, in the same MLflow run")

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range("seeds", self.seeds, 1, 1000)
        _in_range("splits", self.splits, 1, 1000)
        _in_range("gap_margin", self.gap_margin, 0, 10, open_low=True)
        for name, allowed in (("protocols", PROTOCOLS), ("modes", MODES)):
            for value in self._listed(name):
                _one_of(name, value, allowed)
        for fraction in self.fractions:
            _in_range("label_fractions", fraction, 0, 1, open_low=True)

    @property
    def protocol_names(self) -> tuple[str, ...]:
        """The protocols, the one that the verdict is spoken on first."""
        return self._listed("protocols")

    @property
    def mode_names(self) -> tuple[str, ...]:
        """The modes, the one that the verdict is spoken on first."""
        return self._listed("modes")

    @property
    def fractions(self) -> tuple[float, ...]:
        """The label fractions, each once, largest first."""
        try:
            values = {float(text) for text in self._listed("label_fractions")}
        except ValueError:
            raise UserError(f"label_fractions={self.label_fractions!r} is not a list of numbers: 0.1,1 say") from None
        return tuple(sorted(values, reverse=True))

    @property
    def split_seeds(self) -> range:
        """A split's seed each."""
        return range(self.split_seed, self.split_seed + self.splits)

    def _listed(self, name: str) -> tuple[str, ...]:
        text: str = getattr(self, name)
        found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        if not found:
            raise UserError(f"{name}={text!r} is empty: see derm-ml compare --help")
        return found


@dataclass(frozen=True, kw_only=True)
class CompareConfig(DesignConfig):
    """Arms x seeds x splits x label fractions x protocols x modes, and the verdict."""

    encoder: str = option("auto", "the vae arm's encoder; auto: the best one registered for this data and each split")
    vae_backbone: str = option("same", "architecture of the vae arm: same (as the other arms'), or one of its own")
    arms: str = option(",".join(ARMS), "arms to compare, with commas between")
    external: str = option("", "another collection to score the trained heads on, given as data is")
    external_classes: str = option("", "CSV of its class names: columns external,class; an empty class is left out")

    def __post_init__(self) -> None:
        super().__post_init__()
        for arm in self.arm_names:
            _one_of("arms", arm, ARMS)
        if self.features == "latent" and {"imagenet", "random"} & set(self.arm_names):
            raise UserError("features=latent exists for a VAE only: compare takes stages or last")
        if self.splits > 1 and "vae" in self.arm_names and self.encoder != "auto":
            raise UserError(
                f"encoder={self.encoder} was pretrained on one split, and splits={self.splits}: leave encoder=auto, "
                "which takes each split's own, or compare on one split"
            )
        if self.external_classes and not self.external:
            raise UserError("external_classes belongs to external: give that as well")

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms, each once, in the order given."""
        return self._listed("arms")


@dataclass(frozen=True, kw_only=True)
class AblateConfig(DesignConfig):
    """Pretrainings by a plan, each on every split: what each part adds, with intervals."""

    plan: str = option("", "TOML file of the arms: [common] and [arms.NAME], each with parameters of pretrain")
    images: str = option("val", "what is told is of: val while anything is to be chosen; then resume with test, once")

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("images", self.images, ("val", "test"))
        if not self.plan.strip():
            raise UserError("plan is empty: give a TOML file with the arms to pretrain and compare")


def resolved(config: CommonConfig, section: str) -> dict[str, object]:
    """The configuration under dotted keys, `pretrain.lr` say, for the tracker; not `resume`, which is no part of it."""
    return {f"{section}.{item.name}": getattr(config, item.name) for item in fields(config) if item.name != "resume"}
