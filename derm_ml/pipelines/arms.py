"""The arms: where each one's encoder comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from derm_ml.config import HeadConfig
from derm_ml.data.dataset import ImageDataset
from derm_ml.errors import UserError
from derm_ml.models.backbones import FeatureKind, build_encoder, choose_backbone
from derm_ml.models.heads import Extractor, FeatureExtractor, LatentExtractor
from derm_ml.models.pretrained import load_imagenet, load_safetensors, load_vae
from derm_ml.pipelines.images import DIGITS
from derm_ml.pipelines.setup import Setting
from derm_ml.progress import note_line
from derm_ml.seeding import derive_seed


class EncoderFiles(NamedTuple):
    """A pretrained encoder found for us: its weights, its facts, where it was, and the whole VAE where there is one."""

    weights: Path
    facts: dict[str, str]
    uri: str
    vae: Path | None = None


PRETRAINED = ("vae", "plain", "champion")  # arms whose weights come from a registry or a file
Resolve = Callable[[str], EncoderFiles]


def arm_of(encoder: str) -> str:
    """The arm that an `encoder` value stands for: itself for the named ones, `vae` for any reference."""
    return encoder if encoder in ("imagenet", "random", "pixels", "majority") else "vae"


def build_arm(
    arm: str, config: HeadConfig, setting: Setting, seed: int, files: EncoderFiles | None
) -> tuple[Extractor, str]:
    """What turns images into the arm's features at a seed, and where its weights came from.

    Args:
        files: of the pretrained encoder; for the random arm those of the encoder whose architecture it has, if any.

    Raises:
        UserError: the weights cannot be had, do not fit, or the encoder saw images it must not have seen.
    """
    name = choose_backbone(config.backbone, setting.device)
    if arm != "imagenet" and files is not None:
        name = files.facts.get("backbone", name)
    if config.features == "latent" and (arm not in PRETRAINED or files is None or files.vae is None):
        where = files.uri if files else f"encoder={arm}"
        raise UserError(f"{where} has no latents: features=latent needs a VAE from the registry; choose stages or last")
    encoder = build_encoder(name, config.image_size, derive_seed(seed, "encoder"))
    if arm == "imagenet":
        origin = load_imagenet(encoder, config.imagenet_weights)
        return FeatureExtractor(encoder, _kind(config)), origin
    if arm == "random":
        return FeatureExtractor(encoder, _kind(config)), f"drawn from seed {seed}"
    if files is None:
        raise UserError(
            f"the {arm} arm needs an encoder: give encoder=models:/derm-encoder@champion, runs:/ID or a file"
        )
    check_unseen(files, setting)
    if (made_for := files.facts.get("image_size", str(config.image_size))) != str(config.image_size):
        note_line(f"{files.uri} was pretrained at {made_for} px and is given {config.image_size} px (image_size)")
    if config.features == "latent" and files.vae:
        return LatentExtractor(load_vae(encoder, files.vae)), files.uri
    load_safetensors(encoder, files.weights)
    return FeatureExtractor(encoder, _kind(config)), files.uri


def _kind(config: HeadConfig) -> FeatureKind:
    return "last" if config.features == "last" else "stages"


def joined_pretraining(files: EncoderFiles, dataset: ImageDataset) -> bool:
    """Whether images of this data were trained on beside the encoder's own (extra).

    By a sample of what joined: of a collection of which a tenth is in this data, one in 850 goes unnoticed.
    """
    sample = set(files.facts.get("data.extra.sample", "").split())
    known = sample & set(dataset.table["content"].str[:DIGITS])
    return bool(known) or files.facts.get("data.extra") == dataset.fingerprint  # encoders of before have no sample


def check_unseen(files: EncoderFiles, setting: Setting) -> None:
    """Refuse an encoder that was pretrained on another split of this very data, or with all of it: it saw test images.

    An encoder of other data may be used (transfer); a file without facts is taken at the user's word.
    """
    facts, dataset = files.facts, setting.dataset
    if joined_pretraining(files, dataset):
        raise UserError(
            f"encoder {files.uri} was pretrained with images of this data beside its own (extra), whatever their split "
            "is now: give an encoder that was pretrained without, or on a split of this data"
        )
    same_data = facts.get("data.fingerprint") == dataset.fingerprint
    if same_data and facts.get("data.split") != dataset.split_id:
        raise UserError(
            f"encoder {files.uri} was pretrained on another split of this data, so it has seen images that are now "
            "for validation and test: give the split_seed it was pretrained with, or pretrain again"
        )
