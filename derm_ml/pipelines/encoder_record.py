"""A finished encoder as files and facts: what is logged, registered and read by others."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch

from derm_ml import __version__
from derm_ml.config import PretrainConfig, SearchConfig
from derm_ml.models.heads import FeatureExtractor
from derm_ml.models.vae import ConvVae
from derm_ml.pipelines.images import TrainingImages
from derm_ml.pipelines.setup import Setting
from derm_ml.tracking.base import EncoderRecord
from derm_ml.training.trainer import choose_precision

# the configuration that the weights do not follow from
_ELSEWHERE = {item.name for item in fields(SearchConfig)} - {"batch_size", "weight_decay", "seed", "precision"}
_ELSEWHERE |= {"figures_every", "space", "objective", "resume", "extra"}


def encoder_record(
    vae: ConvVae,
    setting: Setting,
    config: PretrainConfig,
    metrics: Mapping[str, float],
    chosen: TrainingImages,
    folder: Path,
) -> EncoderRecord:
    """Write the backbone as safetensors under timm's names and gather what its users must know."""
    from safetensors.torch import save_file

    encoder = copy.deepcopy(vae.encoder).cpu().float().eval()
    preprocessing = {
        "image_size": config.image_size,
        "range": [0.0, 1.0],
        "channel_order": "RGB",
        "layout": "NCHW",
        "resize": "shorter side to image_size (bilinear, antialiased), centre crop",
        "mean": encoder.mean.flatten().tolist(),
        "std": encoder.std.flatten().tolist(),
        "normalised_inside": True,
    }
    dataset = setting.dataset
    facts = {
        "backbone": encoder.name,
        "image_size": str(config.image_size),
        "data.kind": dataset.kind,
        "data.fingerprint": dataset.fingerprint,
        "data.split": dataset.split_id,
        "method": config.method,
        "objective": objective_text(config),
        "recipe": "plain" if config.plain else "composed",
        "precision": str(choose_precision(config.precision, setting.device)),
        "derm_ml": __version__,
    }
    facts |= {"data.classes": json.dumps(dataset.classes)} if dataset.labelled else {}
    facts |= {"data.extra": chosen.extra, "data.extra.sample": chosen.sample} if chosen.extra else {}
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "encoder.safetensors"
    state = {key: value.contiguous() for key, value in encoder.backbone.state_dict().items()}
    metadata = {**facts, "preprocessing": json.dumps(preprocessing)}
    save_file(state, weights, metadata=metadata)
    score = score_name(metrics)
    whole = {key: value.detach().cpu().contiguous() for key, value in vae.state_dict().items()}
    save_file(whole, folder / "vae.safetensors", metadata=metadata)
    return EncoderRecord(
        module=FeatureExtractor(encoder).eval(),
        example=torch.zeros(2, 3, config.image_size, config.image_size),
        weights=weights,
        vae=folder / "vae.safetensors",
        card=_card(facts, preprocessing, dataset.counts, chosen, config, metrics),
        preprocessing=preprocessing,
        facts=facts,
        score=float(metrics[score]),
        score_name=score,
    )


def score_name(metrics: Mapping[str, float]) -> str:
    """What encoders are chosen by: without labels nothing can be probed."""
    return "probe/auroc" if "probe/auroc" in metrics else "val/elbo"


def objective_text(config: PretrainConfig) -> str:
    """What was minimised on what views, in a line: the ELBO's parts, then what `PretrainConfig.plain` leaves out."""
    text = f"vae {config.likelihood}"
    if config.decodes:
        text += f" {config.regulariser} beta={config.beta:g}"
        text += f" capacity={config.capacity:g}" * (config.regulariser == "capacity")
    text += " latent=map" * (config.latent == "map")
    beside = ("free_bits", "mask", "noise", "artefacts")
    text += "".join(f" {name}={getattr(config, name):g}" for name in beside if getattr(config, name))
    text += f" augment={config.augment:g}" * (config.augment > 1) + f" crop={config.crop:g}" * (config.crop < 1)
    text += " extra images" * bool(config.extra)
    if config.invariance != "none":
        text += f" {config.invariance}={config.invariance_weight:g}"
    return text


def _marked(name: str) -> str:
    """A name as Markdown that shows it and does nothing else."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(name.split()))


def _manner(config: PretrainConfig) -> str:
    views = f"{config.views} between two views"
    if not config.decodes:
        return f"by {views}, without a decoder,"
    vae = "as the encoder of a variational autoencoder"
    return f"{vae} beside {views}" if config.views else vae


def _card(
    facts: Mapping[str, str],
    preprocessing: Mapping[str, object],
    counts: Mapping[str, int],
    chosen: TrainingImages,
    config: PretrainConfig,
    metrics: Mapping[str, float],
) -> str:
    names = [item.name for item in fields(config) if item.name not in _ELSEWHERE]
    recipe = ", ".join(f"{name} {facts.get(name, getattr(config, name))}" for name in names)
    more = len(chosen.rows) - chosen.own
    others = f" and {more:,} images of another collection (fingerprint {chosen.extra[:16]})" if more else ""
    kept = f"{metrics['epoch']:.0f} of {config.epochs}" + f", the best by {score_name(metrics)}" * (
        config.keep == "best"
    )
    classes = [_marked(name) for name in json.loads(facts.get("data.classes", "[]"))]
    told = f" What is told of a probe is over {len(classes)} classes: {'; '.join(classes)}." if classes else ""
    shown = {name: value for name, value in sorted(metrics.items()) if name != "epoch"}
    figures = "\n".join(f"| {name} | {value:.4f} |" for name, value in shown.items())
    return f"""# Dermatology encoder: {facts["backbone"]}, {config.image_size} px

A {facts["backbone"]} pretrained from scratch {_manner(config)} on {chosen.own:,}
training images of `{facts["data.kind"]}`{others} alone, without labels. Validation ({counts["val"]:,}) and test images
({counts["test"]:,}) were not seen.

Input: RGB in [0, 1], NCHW, {config.image_size} x {config.image_size}; {preprocessing["resize"]}. Normalisation is
inside the model; with the safetensors file in timm, normalise with mean {preprocessing["mean"]} and std
{preprocessing["std"]}. Output: the spatial means of every stage's feature map, concatenated.

Recipe: {recipe}. Weights: after epoch {kept}.

For research. It is no medical device; nothing was measured on other cameras, clinics or skin types.{told}

| metric (validation unless named train) | value |
|---|---|
{figures}

Data fingerprint {facts["data.fingerprint"]}, split {facts["data.split"]}, derm_ml {facts["derm_ml"]}.
"""
