"""What every entry point takes, and how options are declared and checked."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from derm_ml.errors import UserError


def option(default: Any, text: str, *, path: tuple[str, ...] | None = None) -> Any:
    """A field with its default and the help text that the command line shows.

    Args:
        path: it may name a file or a folder; the words that do not. See `derm_ml.config.paths`.
    """
    return field(default=default, metadata={"help": text} | ({} if path is None else {"path": path}))


COLLECTIONS = ("synthetic", "dermamnist")  # that are no files of the user's


def in_range(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    """Refuse a value out of its range."""
    inside = math.isfinite(value) and (value > low if open_low else value >= low) and value <= high
    if not inside:
        bound = "above" if open_low else "at least"
        upper = "" if math.isinf(high) else f" and at most {high:g}"
        raise UserError(f"{name}={value!r} does not fit: it must be {bound} {low:g}{upper}")


def one_of(name: str, value: str, allowed: Collection[str]) -> None:
    """Refuse a name that is not known."""
    if value not in allowed:
        raise UserError(f"{name}={value!r} is not known: choose one of {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """What every entry point takes."""

    data: str = option(
        "synthetic",
        "folder of images, table of them, 'synthetic[:n=600,size=96,seed=0]' or 'dermamnist'",
        path=COLLECTIONS,
    )
    label: str = option("", "column of the diagnosis, folder (or folder:2), or none; empty: found, or refused")
    group: str = option("", "column of the patient or lesion, folder (or folder:2), or none; empty: found")
    image: str = option("", "column that names the image files; empty: found")
    split: str = option("", "column of given splits, folder, or none (drawn anew); empty: found, else drawn")
    classes: str = option(
        "", "table that renames, merges and drops classes: columns name,class; an empty class drops", path=()
    )
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
            raise UserError("data is empty: give a folder of images, a table of them, 'synthetic' or 'dermamnist'")
        if not 32 <= self.image_size <= 256 or self.image_size % 32:
            raise UserError(f"image_size={self.image_size} does not fit: it must be 32, 64, ... 256 (divisible by 32)")
        in_range("batch_size", self.batch_size, 2, 65536)
        in_range("weight_decay", self.weight_decay, 0, 10)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("split_seed", self.split_seed, 0, 2**31 - 1)
        one_of("device", self.device, ("auto", "cpu", "cuda"))
        one_of("precision", self.precision, ("auto", "fp32", "bf16"))


@dataclass(frozen=True, kw_only=True)
class SearchConfig(CommonConfig):
    """What an entry point takes that can search."""

    trials: int = option(0, "trainings that Optuna spends on a search, by all its workers together; 0: one training")
    hours: float = option(0.0, "no trial starts later than this many hours after the search did; 0: no limit")
    study: str = option("", "name of the study to start or join; empty: named by data, architecture and settings")
    workers: int = option(1, "processes that search on this machine")

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("trials", self.trials, 0, 1_000_000)
        in_range("hours", self.hours, 0, 1e6)
        in_range("workers", self.workers, 1, 1024)
        if len(self.study) > 200 or not self.study.isprintable():
            raise UserError(f"study={self.study[:40]!r}... does not fit: at most 200 printable characters")
        resume: str = getattr(self, "resume", "")
        if self.trials and resume:
            raise UserError("resume is for one training: a search goes on by itself when it is started again")
        if not self.trials and (self.hours or self.study or self.workers > 1):
            raise UserError("hours, study and workers belong to a search: give trials as well, trials=50 say")


def resolved(config: CommonConfig, section: str) -> dict[str, object]:
    """The configuration under dotted keys, `pretrain.lr` say, for the tracker; not `resume`, which is no part of it."""
    return {f"{section}.{item.name}": getattr(config, item.name) for item in fields(config) if item.name != "resume"}
