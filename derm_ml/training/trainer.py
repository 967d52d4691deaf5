"""The one training loop. It knows neither the model nor the tracker: an objective gives it a loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from derm_ml.objectives.base import Losses, Objective
from derm_ml.progress import Progress
from derm_ml.seeding import derive_seed, torch_generator
from derm_ml.training.schedules import warmup_cosine

CHECK_EVERY = 50  # steps between looks at the loss: each look waits for the device


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or not a number; the message names the metric and the step."""


@dataclass(frozen=True)
class Precision:
    """How numbers are kept during a forward pass: float32, or bfloat16 autocast."""

    device: torch.device
    bf16: bool = False

    def __str__(self) -> str:
        return "bf16" if self.bf16 else "fp32"

    def context(self) -> contextlib.AbstractContextManager[object]:
        """The autocast context of a forward pass."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


class Group(NamedTuple):
    """Parameters that are trained with one peak learning rate and weight decay."""

    params: Sequence[nn.Parameter]
    lr: float
    weight_decay: float


class Trainer:
    """Trains an objective's model for a fixed number of epochs, an epoch a call.

    Every random stream of an epoch is derived from the seed and the epoch, so that going on after an
    interruption at the end of an epoch gives what an uninterrupted run gives.

    Args:
        objective: owns the model and its loss.
        steps: optimiser steps an epoch.
        epochs: of the whole training (the schedule's length).
        lr: peak learning rate. weight_decay: AdamW's.
        warmup: epochs of linear warm-up before the cosine to zero.
        clip: the gradient's largest norm, of each group by itself.
        groups: parameters with a peak rate and a decay of their own, in place of the objective's whole model.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        steps: int,
        epochs: int,
        seed: int,
        precision: Precision,
        lr: float = 0.0,
        weight_decay: float = 0.0,
        warmup: float = 0.0,
        clip: float = 1.0,
        groups: Sequence[Group] = (),
    ) -> None:
        self.objective, self.precision = objective, precision
        self.steps, self.epochs, self.seed, self.clip = steps, epochs, seed, clip
        self.epoch = 0
        if not groups:
            trained = [parameter for parameter in objective.model.parameters() if parameter.requires_grad]
            groups = [Group(trained, lr, weight_decay)]
        self._groups = groups
        self.optimizer = torch.optim.AdamW([group._asdict() for group in groups], fused=True)
        self._factor = warmup_cosine(steps * epochs, int(warmup * steps))

    def train_epoch(
        self, batches: Iterable[tuple[Tensor, Tensor]], progress: Progress | None = None
    ) -> dict[str, float]:
        """One epoch; returns each metric's mean over its images, as seen while the weights moved.

        Raises:
            NonFiniteLoss: naming the step.
        """
        model = self.objective.model.train()
        torch.manual_seed(derive_seed(self.seed, "dropout", self.epoch))
        noise = torch_generator(self.seed, "noise", self.epoch)
        sums: dict[str, Tensor] = {}
        images = 0
        for number, (inputs, rows) in enumerate(batches):
            step = self.epoch * self.steps + number
            for group, peak in zip(self.optimizer.param_groups, self._groups, strict=True):
                group["lr"] = peak.lr * self._factor(step)
            with self.precision.context():
                losses = self.objective(inputs, rows, step / self.steps, noise)
            self.optimizer.zero_grad(set_to_none=True)
            losses.loss.backward()  # type: ignore[no-untyped-call]
            for own in self._groups:
                torch.nn.utils.clip_grad_norm_(own.params, self.clip)
            self.optimizer.step()
            images += len(rows)
            for name, value in losses.sums.items():
                sums[name] = sums[name] + value if name in sums else value
            if number % CHECK_EVERY == 0:
                self._check(losses, step)
                if progress:
                    progress.note(f"loss {losses.loss.item():.4f}")
            if progress:
                progress.advance(len(rows))
        self.epoch += 1
        model.eval()
        means = {name: float(value) / images for name, value in sums.items()}
        for name, mean in means.items():
            if not torch.isfinite(torch.tensor(mean)):
                raise NonFiniteLoss(f"non-finite {name} in epoch {self.epoch}: lower the learning rate")
        return means

    def _check(self, losses: Losses, step: int) -> None:
        if not bool(torch.isfinite(losses.loss)):
            raise NonFiniteLoss(f"non-finite loss at step {step}: lower the learning rate")


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU when there is one.

    Raises:
        UserError: cuda was asked for and there is none.
    """
    from derm_ml.errors import UserError

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch sees no GPU: check the driver with nvidia-smi, or give device=cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> Precision:
    """`auto` is bf16 on a GPU and fp32 on a CPU (fixed, not measured: the same seed gives the same figures)."""
    return Precision(device, bf16=name == "bf16" or (name == "auto" and device.type == "cuda"))
