"""What `finetune`, `compare` and `ablate` take."""

from __future__ import annotations

from dataclasses import dataclass

from derm_ml.config.common import COLLECTIONS, CommonConfig, SearchConfig, in_range, one_of, option
from derm_ml.errors import UserError

ARMS = ("vae", "plain", "imagenet", "random", "pixels", "majority")
USUAL = ("vae", "imagenet", "random", "pixels", "majority")
FLOORS = ("pixels", "majority")
PROTOCOLS = ("identical", "tuned")
MODES = ("frozen", "full")
FEATURES = ("last", "stages", "latent")
ERASED = ("none", "artefacts")


@dataclass(frozen=True, kw_only=True)
class HeadConfig(CommonConfig):
    """What finetune and compare share: one head and one recipe for every arm."""

    epochs: int = option(40, "passes over the labelled training images")
    lr: float = option(1e-3, "peak learning rate of the head (cosine to zero)")
    features: str = option("stages", "stages (every stage pooled and concatenated), last, or latent (a VAE's mean)")
    erase: str = option("none", "artefacts: frozen features without what tells a linear head of hair, ink and the like")
    imagenet_weights: str = option(
        "auto", "auto (timm, else the packaged Lite0 weights) or a safetensors file", path=("auto",)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("epochs", self.epochs, 1, 100_000)
        in_range("lr", self.lr, 0, 10)
        one_of("features", self.features, FEATURES)
        one_of("erase", self.erase, ERASED)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(HeadConfig, SearchConfig):
    """One arm at one seed; with trials, its best learning rate and weight decay."""

    encoder: str = option(
        "imagenet",
        "imagenet, random, pixels, majority, models:/derm-encoder@champion, runs:/ID or a file",
        path=("imagenet", "random", *FLOORS),
    )
    mode: str = option("frozen", "frozen (the encoder extracts features, the paper's) or full (all weights train)")
    label_fraction: float = option(1.0, "fraction of the labelled training groups used, nested and by group")
    space: str = option("lr,weight_decay", "searched: of lr, weight_decay; lr=1e-4..1e-1 sets a range")
    resume: str = option("", "ID of an interrupted run to go on with, in the same MLflow run")

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("label_fraction", self.label_fraction, 0, 1, open_low=True)
        one_of("mode", self.mode, MODES)
        check_erased(self.erase, (self.mode,))
        if self.erase != "none" and self.encoder in FLOORS:
            raise UserError(f"erase={self.erase} is for an encoder's features, and encoder={self.encoder} has none")


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
        in_range("seeds", self.seeds, 1, 1000)
        in_range("splits", self.splits, 1, 1000)
        in_range("gap_margin", self.gap_margin, 0, 10, open_low=True)
        for name, allowed in (("protocols", PROTOCOLS), ("modes", MODES)):
            for value in self._listed(name):
                one_of(name, value, allowed)
        check_erased(self.erase, self.mode_names)
        for fraction in self.fractions:
            in_range("label_fractions", fraction, 0, 1, open_low=True)

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

    encoder: str = option(
        "auto", "the vae arm's encoder; auto: the best one registered for this data and each split", path=("auto",)
    )
    vae_backbone: str = option(
        "auto", "architecture of the vae arm: auto (the best registered encoder's), same (as ImageNet's), or a name"
    )
    arms: str = option(",".join(USUAL), "arms to compare, of these and plain (the paper's VAE beside a better one)")
    external: str = option("", "another collection to score the trained heads on, given as data is", path=COLLECTIONS)
    external_label: str = option("", "column of its diagnosis, or folder, as label is for data; empty: found")
    external_classes: str = option(
        "", "CSV of its class names: columns external,class; an empty class is left out", path=()
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for arm in self.arm_names:
            one_of("arms", arm, ARMS)
        if self.features == "latent" and {"imagenet", "random"} & set(self.arm_names):
            raise UserError("features=latent exists for a VAE only: compare takes stages or last")
        if self.splits > 1 and "vae" in self.arm_names and self.encoder != "auto":
            raise UserError(
                f"encoder={self.encoder} was pretrained on one split, and splits={self.splits}: leave encoder=auto, "
                "which takes each split's own, or compare on one split"
            )
        for name in ("external_label", "external_classes"):
            if getattr(self, name) and not self.external:
                raise UserError(f"{name} belongs to external: give that as well")

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms, each once, in the order given."""
        return self._listed("arms")


@dataclass(frozen=True, kw_only=True)
class AblateConfig(DesignConfig):
    """Pretrainings by a plan, each on every split: what each part adds, with intervals."""

    plan: str = option("", "TOML file of the arms: [common] and [arms.NAME], each with parameters of pretrain", path=())
    images: str = option("val", "what is told is of: val while anything is to be chosen; then resume with test, once")
    workers: int = option(1, "processes that pretrain and train heads on this machine")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("images", self.images, ("val", "test"))
        in_range("workers", self.workers, 1, 1024)
        if not self.plan.strip():
            raise UserError("plan is empty: give a TOML file with the arms to pretrain and compare")


def check_erased(erase: str, modes: tuple[str, ...]) -> None:
    """What is erased from frozen features would be learnt anew where all weights train.

    Raises:
        UserError: both were asked for.
    """
    if erase != "none" and "full" in modes:
        raise UserError(
            f"erase={erase} is for frozen features, and with full all weights train: leave out erase or full"
        )
