"""The arms: where each one's encoder comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from derm_ml.config import HeadConfig
from derm_ml.errors import UserError
from derm_ml.models.backbones import Encoder, build_encoder, choose_backbone
from derm_ml.models.pretrained import load_imagenet, load_safetensors
from derm_ml.pipelines.setup import Setting
from derm_ml.seeding import derive_seed


class EncoderFiles(NamedTuple):
    """A pretrained encoder found for us: its weights, its facts, and where it was."""

    weights: Path
    facts: dict[str, str]
    uri: str


Resolve = Callable[[str], EncoderFiles]


def arm_of(encoder: str) -> str:
    """The arm that an `encoder` value stands for: itself for the named ones, `vae` for any reference."""
    return encoder if encoder in ("imagenet", "random", "pixels", "majority") else "vae"


def build_arm(
    arm: str, config: HeadConfig, setting: Setting, seed: int, files: EncoderFiles | None
) -> tuple[Encoder, str]:
    """The arm's encoder at a seed, and where its weights came from.

    Raises:
        UserError: the weights cannot be had, do not fit, or the encoder saw images it must not have seen.
    """
    name = choose_backbone(config.backbone, setting.device)
    if arm == "vae" and files is not None and config.backbone == "auto":
        name = files.facts.get("backbone", name)
    encoder = build_encoder(name, config.image_size, derive_seed(seed, "encoder"))
    if arm == "imagenet":
        return encoder, load_imagenet(encoder, config.imagenet_weights)
    if arm == "random":
        return encoder, f"drawn from seed {seed}"
    if files is None:
        raise UserError("the vae arm needs an encoder: give encoder=models:/derm-encoder@champion, runs:/ID or a file")
    check_unseen(files, setting)
    load_safetensors(encoder, files.weights)
    return encoder, files.uri


def check_unseen(files: EncoderFiles, setting: Setting) -> None:
    """Refuse an encoder that was pretrained on another split of this very data: it saw test images.

    An encoder of other data may be used (transfer); a file without facts is taken at the user's word.
    """
    facts, dataset = files.facts, setting.dataset
    same_data = facts.get("data.fingerprint") == dataset.fingerprint
    if same_data and facts.get("data.split") != dataset.split_id:
        raise UserError(
            f"encoder {files.uri} was pretrained on another split of this data, so it has seen images that are now "
            "for validation and test: give the split_seed it was pretrained with, or pretrain again"
        )
