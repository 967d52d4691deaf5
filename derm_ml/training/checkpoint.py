"""Checkpoints: model and optimiser as safetensors, written atomically. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from derm_ml.errors import UserError
from derm_ml.training.trainer import Trainer


def save_checkpoint(path: Path, trainer: Trainer, facts: dict[str, Any]) -> None:
    """Write the trainer's state to `path`: the old file stays whole until the new one is on disk.

    Args:
        facts: JSON-able; given back by `load_checkpoint` (the history so far, what the data was).
    """
    from safetensors.torch import save_file

    tensors = {f"model/{key}": value for key, value in trainer.objective.model.state_dict().items()}
    state = trainer.optimizer.state_dict()["state"]
    for index, slots in state.items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in slots.items()}
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file(plain, partial, metadata={"epoch": str(trainer.epoch), "facts": json.dumps(facts)})
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load_checkpoint(path: Path, trainer: Trainer) -> dict[str, Any]:
    """Put the state of `path` into the trainer; returns the facts saved with it.

    Raises:
        UserError: there is no such checkpoint, it is damaged, or it is another model's.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no checkpoint to resume from: resume on the machine that ran it, or start anew")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: damaged checkpoint ({error})") from error
    model = {key[6:]: value for key, value in tensors.items() if key.startswith("model/")}
    try:
        trainer.objective.model.load_state_dict(model)
    except RuntimeError as error:
        raise UserError(f"{path}: a checkpoint of another model: resume with the parameters it was run with") from error
    parameters = [each for group in trainer.optimizer.param_groups for each in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, slot = key.split("/", 2)
            slots.setdefault(int(index), {})[slot] = _laid_out_as(parameters[int(index)], value)
    state = trainer.optimizer.state_dict()
    trainer.optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})
    trainer.epoch = int(metadata["epoch"])
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return facts


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """The fused AdamW goes through memory: moments in another order than channels-last weights would be mixed up."""
    same = value.shape == parameter.shape
    return torch.empty_like(parameter, dtype=value.dtype, device="cpu").copy_(value) if same else value


def digest_of(model: torch.nn.Module) -> str:
    """Hex SHA-256 over a model's tensors: equal weights, equal digest."""
    import hashlib

    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
