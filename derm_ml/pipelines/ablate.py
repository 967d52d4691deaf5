"""Ablate: every arm of a plan pretrained on every split, then heads as in a comparison."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from derm_ml.config import FLOORS, AblateConfig, HeadConfig, resolved
from derm_ml.models.backbones import choose_backbone
from derm_ml.pipelines.arm_run import facts_of, train_arm
from derm_ml.pipelines.arms import EncoderFiles, build_arm
from derm_ml.pipelines.artefact_probe import artefact_probe
from derm_ml.pipelines.cells import Cells
from derm_ml.pipelines.encoder_record import encoder_record
from derm_ml.pipelines.finetune import ArmFactory
from derm_ml.pipelines.plan import Planned, read_plan
from derm_ml.pipelines.pretrain import train
from derm_ml.pipelines.protocols import recipe_of
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.pipelines.vae_scores import VaeScores
from derm_ml.progress import note_line, progress
from derm_ml.results import Ablation, ArmRun, Comparison, Place
from derm_ml.tracking.base import NullTracker, Tracker
from derm_ml.training.trainer import choose_precision

History = list[dict[str, float]]


def run(config: AblateConfig, tracker: Tracker, folder: Path) -> Ablation:
    """Pretrain and measure; each pretraining is a nested run with its curves, its encoder and its heads' figures.

    Args:
        folder: what is finished is kept here for a resume: encoders, their curves, heads.

    Raises:
        UserError: bad data, parameters or plan. NonFiniteLoss: a training diverged.
    """
    start = time.monotonic()
    planned = read_plan(config)
    settings: dict[int, Setting] = {}
    for seed in config.split_seeds:
        logged: Tracker = NullTracker() if settings else tracker
        settings[seed] = prepare_setting(replace(config, split_seed=seed), logged)
    first = next(iter(settings.values())).dataset
    params = resolved(config, "ablate")
    tracker.set_tags({"ablate.images": str(params.pop("ablate.images"))})  # no parameter: it may become test once
    tracker.log_params(params)
    tracker.log_file(Path(config.plan), "plan")
    # `images` is not part of what it is: chosen on validation, the same heads are then told on the test images.
    elsewhere = ("data", "device", "experiment", "resume", "plan", "images")
    own = [item.name for item in fields(config) if item.name not in elsewhere]
    identity = {item: getattr(config, item) for item in own} | {"data": first.fingerprint}
    identity |= {"plan": hashlib.sha256(repr(planned).encode()).hexdigest()}
    cells = Cells(folder / "cells", identity, resume=bool(config.resume))
    places = [
        Place(protocol, mode, fraction)
        for mode in config.mode_names
        for protocol in config.protocol_names
        for fraction in config.fractions
    ]
    pretrained = len({arm.encoder for arm in planned if arm.kind == "vae"}) * len(settings)
    scores = {seed: VaeScores(setting) for seed, setting in settings.items()}
    note_line(f"{pretrained} pretrainings, then {len(planned) * len(settings) * len(places) * config.seeds} heads")
    runs: list[ArmRun] = []
    curves: dict[str, tuple[History, ...]] = {arm.name: () for arm in planned}
    said: dict[str, tuple[Mapping[str, float], ...]] = {arm.name: () for arm in planned if arm.kind not in FLOORS}
    latents: dict[str, tuple[Mapping[str, float], ...]] = {arm.name: () for arm in planned if arm.encoder == arm.name}
    with progress("Ablating", len(planned) * len(settings), "arms") as bar:
        for seed, setting in settings.items():
            for arm in planned:
                name = f"{arm.name}-split{seed}"
                bar.note(name)
                with tracker.child(name, {"arm": arm.name, "split": str(seed)}, resume=bool(config.resume)) as child:
                    heads = _Heads(config, arm, seed, setting, places, cells, scores[seed])
                    runs += heads.train(child, folder / name)
                if arm.kind == "vae":
                    shared = folder / f"{arm.encoder}-split{seed}"
                    curves[arm.name] += (json.loads((shared / "curve.json").read_text()),)
                    if arm.encoder == arm.name:
                        latents[arm.name] += (json.loads((shared / "latents.json").read_text()),)
                if arm.kind not in FLOORS:
                    said[arm.name] += (json.loads((folder / name / "artefacts.json").read_text()),)
                bar.advance()
    comparison = Comparison(
        data=first.location,
        kind=first.kind,
        fingerprint=first.fingerprint,
        backbone=", ".join(sorted({choose_backbone(arm.backbone, setting.device) for arm in planned})),
        image_size=config.image_size,
        features=config.features,
        epochs=config.epochs,
        gap_margin=config.gap_margin,
        classes=first.classes,
        splits=tuple(facts_of(seed, setting, "") for seed, setting in settings.items()),
        runs=tuple(runs),
        seconds=time.monotonic() - start,
    )
    return Ablation(
        comparison=comparison,
        arms=tuple(arm.name for arm in planned),
        references=tuple(arm.name for arm in planned if arm is planned[0] or arm.kind == "imagenet"),
        images=config.images,
        curves=curves,
        artefacts=said,
        latents={arm: found for arm, found in latents.items() if found},
    )


class _Heads:
    """The heads of one arm on one split; its encoder is made when the first head that is not kept asks for it."""

    def __init__(
        self,
        config: AblateConfig,
        arm: Planned,
        split: int,
        setting: Setting,
        places: list[Place],
        cells: Cells,
        scores: VaeScores,
    ) -> None:
        self.config, self.arm, self.split, self.setting = config, arm, split, setting
        self.places, self.cells, self.scores = places, cells, scores

    def train(self, run: Tracker, folder: Path) -> list[ArmRun]:
        wanted = list(self._wanted())
        kept = {name: self.cells.get(name) for name, _, _ in wanted}
        if all(kept.values()):
            return [made for made in kept.values() if made]
        head = HeadConfig(**{item.name: getattr(self.config, item.name) for item in fields(HeadConfig)})
        head = replace(head, split_seed=self.split, backbone=self.arm.backbone, features=self.arm.features)
        rows = np.flatnonzero(self.setting.dataset.table["code"] >= 0)
        shared = folder.with_name(f"{self.arm.encoder}-split{self.split}")
        encoders = {"vae": self._encoder(run, shared)} if self.arm.kind == "vae" else {}
        factory = ArmFactory(head, self.setting, encoders, rows)
        if self.arm.kind not in FLOORS:
            self._probe(head, encoders.get("vae"), run, folder)
        recipes = {place: recipe_of(factory, self.arm.kind, self.config.seed, place) for place in self.places}
        made = []
        for name, place, seed in wanted:
            found = kept[name]
            if found is None:
                found = train_arm(factory, self.arm.kind, seed, place, recipes[place], NullTracker())
                found = replace(found, arm=self.arm.name)
                self.cells.put(name, found)
            made.append(found)
        for place in self.places:
            last = [each.history for each in made if each.place == place]
            text = place.text.replace(", ", "_").replace(" % of the labels", "pc")
            for key in ("val/auroc", "val/loss", "val/accuracy", "gap/loss"):
                run.log_metrics({f"head/{text}/{key}": float(np.mean([each[key][-1] for each in last]))}, step=0)
        return made

    def _wanted(self) -> Iterator[tuple[str, Place, int]]:
        for place in self.places:
            for seed in range(self.config.seed, self.config.seed + self.config.seeds):
                parts = (self.arm.name, place.protocol, place.mode, f"{100 * place.fraction:g}pc")
                yield "-".join([*parts, f"split{self.split}", f"seed{seed}"]), place, seed

    def _probe(self, head: HeadConfig, files: EncoderFiles | None, run: Tracker, folder: Path) -> None:
        """What the features say of planted artefacts; kept, since no later step needs the encoder for it."""
        extractor, _ = build_arm(self.arm.kind, head, self.setting, self.config.seed, files)
        said = artefact_probe(extractor, self.setting)
        run.log_metrics(said, step=0)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "artefacts.json").write_text(json.dumps(said))

    def _encoder(self, run: Tracker, folder: Path) -> EncoderFiles:
        """Pretrain, or go on with it, or take the finished one."""
        config = self.arm.pretraining(self.config, self.split)
        curve = folder / "curve.json"
        history: History = json.loads(curve.read_text()) if curve.is_file() else []

        def watch(epoch: int, metrics: Mapping[str, float]) -> None:
            history[:] = [*(each for each in history if each["epoch"] < epoch), {"epoch": epoch, **metrics}]
            partial = curve.with_suffix(".partial")
            partial.write_text(json.dumps(history))
            partial.replace(curve)

        again = folder.name if (folder / "last.safetensors").is_file() else ""
        setting = replace(self.setting, precision=choose_precision(config.precision, self.setting.device))
        trained = train(config, setting, run, folder, watch=watch, resume=again)
        latents = folder / "latents.json"
        if not latents.is_file():
            partial = latents.with_suffix(".partial")  # a kill leaves no half of it
            partial.write_text(json.dumps(self.scores.of(trained.vae, decodes=config.decodes)))
            partial.replace(latents)
        found = json.loads(latents.read_text())
        run.log_metrics({f"latents/{name.replace(' ', '_')}": value for name, value in found.items()}, step=0)
        record = encoder_record(trained.vae, self.setting, config, trained.metrics, trained.images, folder)
        for path in (record.weights, record.vae):
            run.log_file(path, "encoder")
        run.log_text(record.card, "encoder/README.md")
        return EncoderFiles(record.weights, dict(record.facts), f"{self.arm.name}, split {self.split}", record.vae)
