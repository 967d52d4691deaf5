"""Pretrain: a VAE on the training images alone, its encoder logged and registered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from derm_ml.config import PretrainConfig, resolved
from derm_ml.data.augmentation import Augmentation
from derm_ml.data.batches import ImageBatches
from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder, choose_own_backbone
from derm_ml.models.heads import FeatureExtractor
from derm_ml.models.vae import ConvVae
from derm_ml.objectives import load
from derm_ml.objectives.annealing import cyclic, warmup
from derm_ml.objectives.corruption import Corruption
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.objectives.views import TwoViewObjective
from derm_ml.pipelines.artefact_probe import artefact_figures
from derm_ml.pipelines.encoder_record import encoder_record, score_name
from derm_ml.pipelines.images import TrainingImages, training_images
from derm_ml.pipelines.monitor import Best, Monitor
from derm_ml.pipelines.setup import Setting, place, prepare_setting
from derm_ml.pipelines.snapshot import take_snapshot
from derm_ml.progress import note_line, progress
from derm_ml.results import VaeSnapshot
from derm_ml.seeding import derive_seed, torch_generator
from derm_ml.tracking.base import Tracker
from derm_ml.training.checkpoint import load_checkpoint, save_checkpoint
from derm_ml.training.trainer import Trainer

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Trained:
    """A VAE, its last or best; its metrics and `epoch` then; its training's speed (0: none was left); its images."""

    vae: ConvVae
    metrics: Mapping[str, float]
    images_per_second: float
    images: TrainingImages


@dataclass(frozen=True)
class PretrainResult:
    """Where the encoder is, and the last figures."""

    encoder_uri: str
    metrics: Mapping[str, float]
    images_per_second: float
    averaged_over: str  # so many of so many classes: the probe's AUROC on validation images


def run(
    config: PretrainConfig,
    tracker: Tracker,
    publish: Callable[[VaeSnapshot], None],
    folder: Path,
) -> PretrainResult:
    """Train, log an epoch at a time, register.

    Args:
        publish: is handed what the VAE can do, every `figures_every` epochs and at the end.
        folder: for this run's checkpoint and the files that are logged.

    Raises:
        UserError: bad data or parameters. NonFiniteLoss: the training diverged.
    """
    setting = prepare_setting(config, tracker)
    trained = train(config, setting, tracker, folder, publish=publish, resume=config.resume)
    said = artefact_figures(FeatureExtractor(trained.vae.encoder), setting)
    tracker.log_metrics(said, step=int(trained.metrics["epoch"]))
    tracker.set_tags({"kept.epoch": f"{trained.metrics['epoch']:.0f}"})
    metrics = {**trained.metrics, **said}
    record = encoder_record(trained.vae, setting, config, metrics, trained.images, folder)
    uri = tracker.log_encoder(record)
    return PretrainResult(uri, metrics, trained.images_per_second, setting.dataset.averaged_over("val"))


def train(
    config: PretrainConfig,
    setting: Setting,
    tracker: Tracker,
    folder: Path,
    *,
    publish: Callable[[VaeSnapshot], None] | None = None,
    record: Watch = lambda epoch, metrics: None,
    watch: Watch = lambda epoch, metrics: None,
    resume: str = "",
) -> Trained:
    """Train on a setting that is open already; every epoch is logged and its checkpoint written.

    Args:
        record: is told every epoch's metrics as the tracker is, before the checkpoint is written.
        watch: is told every epoch's metrics when they are logged and safe; what it raises ends the training.
        resume: the name by which an interrupted training is gone on with; its checkpoint is in `folder`.

    Raises:
        UserError: bad data or parameters. NonFiniteLoss: the training diverged.
    """
    dataset = setting.dataset
    if not len(dataset.rows("val")):
        raise UserError(f"data={config.data}: no validation images: mark some with split=val")
    if not config.decodes and not dataset.labelled:
        raise UserError(
            f"data={config.data} has no labels in training and validation, so likelihood=none leaves nothing to judge "
            "the encoder by"
        )
    chosen = training_images(config, setting, tracker)
    count = len(chosen.rows)
    vae, trainer = build(config, setting, count)
    tracker.log_params(resolved(config, "pretrain") | {"pretrain.backbone": vae.encoder.name})
    checkpoint = folder / "last.safetensors"
    identity = {"split": dataset.split_id, "seed": config.seed, "epochs": config.epochs, "images": count}
    identity |= {"extra": chosen.extra} if chosen.extra else {}
    best = Best(folder / "best.safetensors", config.keep, config.patience)
    cpu = 0.0
    if resume:
        facts = load_checkpoint(checkpoint, trainer)
        if {key: facts.get(key) for key in identity} != identity:
            raise UserError(f"resume={resume}: other data, seed or epochs than the run had: give the same")
        best.go_on(facts)
        cpu = float(facts.get("cpu", 0.0))
    metrics: dict[str, float] = {}
    objective = trainer.objective.elbo if isinstance(trainer.objective, TwoViewObjective) else trainer.objective
    assert isinstance(objective, ElboObjective)
    monitor = Monitor(config, setting, objective, chosen.rows[: chosen.own])
    trained, seconds = 0, 0.0
    with progress("Pretraining", count * (config.epochs - trainer.epoch)) as bar:
        while trainer.epoch < config.epochs and not best.exhausted:
            began, burnt = time.perf_counter(), time.process_time()
            seen = trainer.train_epoch(training_batches(config, setting, chosen, trainer.epoch), bar)
            trained, seconds = trained + count, seconds + time.perf_counter() - began
            cpu += time.process_time() - burnt
            metrics = {"images_per_second": trained / seconds, "cpu_minutes": cpu / 60}
            metrics |= {"train/invariance": seen["invariance"]} if "invariance" in seen else {}
            metrics |= monitor.every_epoch()
            if trainer.epoch == config.epochs or trainer.epoch % config.figures_every == 0:
                if publish and objective.likelihood:
                    publish(take_snapshot(vae, setting, trainer.epoch))
                metrics |= monitor.now_and_then()
                best.offer(vae, {**metrics, "epoch": trainer.epoch})
            tracker.log_metrics(metrics, step=trainer.epoch)
            tracker.flush()  # a checkpoint ahead of what is logged would leave a hole in the curves after a kill
            record(trainer.epoch, metrics)
            save_checkpoint(checkpoint, trainer, {**identity, **best.facts(), "cpu": cpu})
            watch(trainer.epoch, metrics)
    if not metrics:  # resumed after its last epoch
        metrics = monitor.every_epoch() | monitor.now_and_then()
    speed = trained / seconds if seconds else 0.0
    kept = best.restore(vae) or {**metrics, "epoch": trainer.epoch}
    if config.keep == "best":
        epochs = f"stopped after epoch {trainer.epoch} of {config.epochs}; " * (trainer.epoch < config.epochs)
        note_line(f"{epochs}the weights of epoch {kept['epoch']:.0f} are kept, the best by {score_name(kept)}")
    return Trained(vae, kept, speed, chosen)


def build(config: PretrainConfig, setting: Setting, images: int) -> tuple[ConvVae, Trainer]:
    """The VAE with weights drawn from the seed, and its trainer; `images` are those trained on.

    Raises:
        UserError: the architecture does not fit the parameters.
    """
    name = choose_own_backbone(config.backbone, setting.device)
    encoder = build_encoder(name, config.image_size, derive_seed(config.seed, "encoder"))
    if config.latent == "map" and encoder.side == 1:
        raise UserError(
            f"latent=map: the last map of {name} at {config.image_size} px has one position, so that it would be a "
            "vector: give latent=vector, a larger image_size, or derm_small"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "decoder"))
        try:
            spatial = config.latent == "map"
            vae = ConvVae(encoder, config.latent_dim, spatial=spatial, decoder_width=config.decoder_width)
        except ValueError as error:
            raise UserError(f"latent=map does not fit {name} at {config.image_size} px: {error}") from error
    place(vae, setting.device)
    trainer = Trainer(
        objective_of(config, vae, images),
        steps=-(-images // config.batch_size),
        epochs=config.epochs,
        lr=config.lr,
        weight_decay=config.weight_decay,
        seed=config.seed,
        precision=setting.precision,
        warmup=1.0,
    )
    return vae, trainer


def objective_of(config: PretrainConfig, vae: ConvVae, images: int) -> ElboObjective | TwoViewObjective:
    """What is minimised, put together by name; `images` are those trained on."""
    elbo = ElboObjective(
        vae,
        load("regularisers", config.regulariser)(**vars(config), images=images),
        cyclic(config.epochs, config.kl_cycles) if config.kl_cycles else warmup(config.kl_warmup),
        load("likelihoods", config.likelihood) if config.decodes else None,
        Corruption(config.mask, config.noise),
    )
    if elbo.likelihood is None:
        vae.decoder.requires_grad_(False)
        vae.log_sigma.requires_grad_(False)
    if config.invariance == "none":
        return elbo
    return TwoViewObjective(elbo, load("invariances", config.invariance), config.invariance_weight)


def training_batches(config: PretrainConfig, setting: Setting, chosen: TrainingImages, epoch: int) -> ImageBatches:
    """One epoch's shuffled, augmented batches; streams derived from the seed and the epoch."""
    return ImageBatches(
        chosen.images,
        chosen.rows,
        config.batch_size,
        setting.device,
        order=torch_generator(config.seed, "order", epoch),
        augmentation=Augmentation(
            torch_generator(config.seed, "augmentation", epoch),
            config.augment,
            config.crop,
            config.artefacts,
            views=1 if config.invariance == "none" else 2,
        ),
    )
