"""What `pretrain` takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from derm_ml.config.common import COLLECTIONS, SearchConfig, in_range, one_of, option
from derm_ml.errors import UserError

OBJECTIVES = Path(__file__).parents[1] / "objectives"
SPELT = {"infonce": "InfoNCE", "vicreg": "VICReg", "barlow": "Barlow Twins"}


def _files(kind: str) -> tuple[str, ...]:
    """What can be chosen: the names of the files of a kind of objective, which this does not import."""
    return tuple(sorted(path.stem for path in (OBJECTIVES / kind).glob("[!_]*.py")))


LIKELIHOODS, INVARIANCES, REGULARISERS = _files("likelihoods"), _files("invariances"), _files("regularisers")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(SearchConfig):
    """A VAE on the training images alone, without labels; by default beside an invariance of views (ADR 13, 14)."""

    backbone: str = option(
        "auto", "any timm model, or derm_small, _medium, _large; auto: derm_medium on a CPU, derm_large on a GPU"
    )
    batch_size: int = option(128, "images a step; of an invariance, each in two views")
    image_fraction: float = option(1.0, "share of the training groups that is pretrained on, nested and by group")
    extra: str = option(
        "", "another collection whose images join pretraining, labels unread; given as data is", path=COLLECTIONS
    )
    epochs: int = option(12, "passes over the training images")
    lr: float = option(1e-3, "peak learning rate (linear warm-up over the first epoch, then a cosine to zero)")
    latent: str = option("vector", "the Gaussian posterior: vector, or map (one vector a position of the last map)")
    latent_dim: int = option(128, "dimensions of the posterior, or of each position's")
    decoder_width: float = option(0.5, "factor on the decoder's channels: 1 takes three times as long")
    likelihood: str = option(
        "gaussian",
        "of an image, one learnt scale: gaussian, laplace (L1), logistic (discretised), gradient (edges); none: no VAE",
    )
    regulariser: str = option(
        "kl", "what beta weighs: kl (beta-VAE), tc (beta-TCVAE), dip1, dip2 (DIP-VAE-I, -II), capacity (annealed)"
    )
    beta: float = option(1.0, "weight of the regulariser; with kl it is that of the rate, and 1 is the ELBO")
    free_bits: float = option(0.0, "nats that each latent's rate may take at no cost (kl only)")
    capacity: float = option(25.0, "nats that the rate is drawn to (capacity only)")
    kl_warmup: int = option(1, "epochs over which the regulariser rises linearly from zero")
    kl_cycles: int = option(0, "instead of once, it rises in each of so many equal parts of the training (0: once)")
    augment: float = option(3.0, "strength of augmentation: 0 none, 1 flips, quarter turns and light colour changes")
    crop: float = option(0.4, "least share of the area that a random, turned crop keeps; 1: the whole image")
    artefacts: float = option(0.2, "probability of hair, ink, a ruler, a vignette, a colour cast on a view, each")
    mask: float = option(0.0, "share of the image (8 x 8 squares) that is hidden from the encoder, not from the loss")
    noise: float = option(0.0, "standard deviation of the noise on what the encoder sees; images are in [0, 1]")
    invariance: str = option("infonce", "of the posterior mean between two views: none, infonce, vicreg or barlow")
    invariance_weight: float = option(1.0, "of the invariance, against nats a pixel value")
    figures_every: int = option(3, "epochs between probes, and reconstruction, sample and traversal figures")
    keep: str = option("last", "the encoder that is kept: last, or best (of the probes on validation)")
    patience: int = option(0, "probes without a better one after which training stops (keep=best; 0: never)")
    space: str = option(
        "beta,lr", "searched: of beta, lr, latent_dim, weight_decay, augment; lr=1e-4..1e-2 sets a range"
    )
    objective: str = option("auto", "of the search: auroc (auto, with labels), elbo (auto, without), or auroc,gap")
    resume: str = option("", "ID of an interrupted run to go on with, in the same MLflow run")

    @property
    def plain(self) -> bool:
        """Whether it is the paper's VAE: a Gaussian likelihood, the rate, whole images, one collection, light changes.

        Its beta is searched for, so any will do.
        """
        given = (self.latent, self.likelihood, self.regulariser, self.invariance, self.extra)
        parts = (self.mask, self.noise, self.artefacts, self.free_bits, self.kl_cycles, 1 - self.crop)
        return given == ("vector", "gaussian", "kl", "none", "") and not any(parts) and self.augment <= 1

    @property
    def method(self) -> str:
        """What pretrains, in a word: VAE, VAE + InfoNCE, InfoNCE."""
        return " + ".join(filter(None, ["VAE" * self.decodes, self.views]))

    @property
    def views(self) -> str:
        """The invariance as its paper spells it; empty without one."""
        return SPELT.get(self.invariance, self.invariance) if self.invariance != "none" else ""

    @property
    def decodes(self) -> bool:
        """Whether there is a decoder to train."""
        return self.likelihood != "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("image_fraction", self.image_fraction, 0, 1, open_low=True)
        one_of("objective", self.objective, ("auto", "auroc", "elbo", "auroc,gap"))
        in_range("epochs", self.epochs, 1, 100_000)
        in_range("lr", self.lr, 0, 10)
        in_range("latent_dim", self.latent_dim, 1, 8192)
        in_range("decoder_width", self.decoder_width, 0.125, 8)
        one_of("latent", self.latent, ("vector", "map"))
        one_of("likelihood", self.likelihood, (*LIKELIHOODS, "none"))
        one_of("regulariser", self.regulariser, REGULARISERS)
        in_range("beta", self.beta, 0, 1e6)
        in_range("free_bits", self.free_bits, 0, 100)
        in_range("capacity", self.capacity, 0, 1e6)
        in_range("kl_cycles", self.kl_cycles, 0, self.epochs)
        self._refuse_idle()
        in_range("kl_warmup", self.kl_warmup, 0, self.epochs)
        in_range("augment", self.augment, 0, 5)
        in_range("crop", self.crop, 0.05, 1)
        in_range("artefacts", self.artefacts, 0, 1)
        in_range("mask", self.mask, 0, 0.95)
        in_range("noise", self.noise, 0, 1)
        one_of("invariance", self.invariance, ("none", *INVARIANCES))
        in_range("invariance_weight", self.invariance_weight, 0, 1e6, open_low=True)
        changes = (self.augment, self.artefacts, self.mask, self.noise, 1 - self.crop)
        if self.invariance != "none" and not any(changes):
            raise UserError(
                "two views of an image are the same with augment=0, artefacts=0 and crop=1: give one of them"
            )
        if self.invariance == "none" and self.likelihood == "none":
            raise UserError("likelihood=none leaves nothing to learn from: give an invariance, infonce say")
        if not self.decodes and self.objective == "elbo":
            raise UserError("objective=elbo needs a likelihood, and likelihood=none has none: give auroc")
        in_range("figures_every", self.figures_every, 1, 100_000)
        one_of("keep", self.keep, ("last", "best"))
        in_range("patience", self.patience, 0, 100_000)
        often = (self.epochs - 1) // (self.patience + 1)  # so many probes, and epochs left to save
        if self.patience and not often:
            raise UserError(f"patience={self.patience} cannot stop {self.epochs} epochs: give more epochs")
        if self.patience and (self.keep != "best" or self.figures_every > often):
            raise UserError(
                f"patience={self.patience} waits for {self.patience + 1} probes: it needs keep=best and, for "
                f"{self.epochs} epochs, figures_every={often} or less"
            )

    def _refuse_idle(self) -> None:
        """What would change nothing was meant to change something."""
        likelihood = "a likelihood other than none"
        needed = {
            "regulariser": (self.decodes, likelihood),
            "beta": (self.decodes or self.beta == 0, likelihood),
            "free_bits": (self.regulariser == "kl" and self.decodes, "regulariser=kl and a likelihood other than none"),
            "capacity": (self.regulariser == "capacity", "regulariser=capacity"),
            "kl_cycles": (self.decodes, likelihood),
            "kl_warmup": (self.kl_cycles == 0, "kl_cycles=0"),
            "invariance_weight": (self.invariance != "none", "an invariance"),
            "decoder_width": (self.decodes, likelihood),
        }
        defaults = {item.name: item.default for item in fields(self)}
        for name, (met, need) in needed.items():
            value = getattr(self, name)
            if value != defaults[name] and not met:
                shown = f"{value:g}" if isinstance(value, float) else value
                raise UserError(f"{name}={shown} is for {need}, and changes nothing here: leave it out")
