"""Ablate: every arm of a plan pretrained on every split, then heads as in a comparison."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import torch

from derm_ml.config import FLOORS, AblateConfig, PretrainConfig, resolved
from derm_ml.models.backbones import choose_own_backbone
from derm_ml.pipelines.arm_run import facts_of
from derm_ml.pipelines.cells import Cells
from derm_ml.pipelines.claims import Claims
from derm_ml.pipelines.plan import Planned, read_plan
from derm_ml.pipelines.planned_arm import PlannedArm
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.pipelines.vae_scores import VaeScores
from derm_ml.progress import Progress, note_line, progress
from derm_ml.results import Ablation, ArmRun, Comparison, Place
from derm_ml.tracking.base import NullTracker, Tracker
from derm_ml.training.trainer import choose_precision
from derm_ml.workers import parent_watch, run_workers

# Not part of what it is. `images`: chosen on validation, the same heads are then told on the test images.
ELSEWHERE = ("data", "device", "experiment", "resume", "plan", "images", "workers")
CHANGING = ("images", "workers", "splits")  # no parameters of its run: it may be gone on with under others


def run(config: AblateConfig, tracker: Tracker, folder: Path) -> Ablation:
    """Pretrain and measure; each pretraining is a nested run with its curves, its encoder and its heads' figures.

    Args:
        folder: what is finished is kept here for a resume: encoders, their curves, heads.

    Raises:
        UserError: bad data, parameters or plan. NonFiniteLoss: a training diverged.
    """
    start = time.monotonic()
    planned, settings = read_plan(config), _settings(config, tracker)
    params = resolved(config, "ablate")
    tracker.set_tags({f"ablate.{name}": str(params.pop(f"ablate.{name}")) for name in CHANGING})
    tracker.log_params(params)
    tracker.log_file(Path(config.plan), "plan")
    arms = _arms(config, planned, settings, folder)
    for arm in arms[: len(planned)]:  # of the first split
        arm.check()
    if 0 < arms[0].cells.before < config.splits:
        grown = f"from {arms[0].cells.before} to {config.splits} splits"
        tracker.set_tags({"ablate.grown": grown})
        note_line(f"{grown}: its intervals hold if this number was chosen without looking at a result")
    pretrained = len({arm.unit for arm in arms if arm.planned.kind == "vae"})
    heads = sum(len(arm.places) for arm in arms) * config.seeds
    note_line(f"{pretrained} pretraining{'s' * (pretrained != 1)}, then {heads} heads")
    claims = Claims(folder / "locks")
    runs: list[ArmRun] = []
    with progress("Ablating", len(arms), "arms") as bar:
        look = _look(arms, bar)
        worked = _worked(config, arms, claims, tracker.run_id, folder, look)
        for arm in arms:
            bar.note(arm.name)
            with claims.awaited(arm.unit):
                runs += arm.kept() or arm.make(tracker, resume=worked or bool(config.resume))
            look()
    first = next(iter(settings.values())).dataset
    comparison = Comparison(
        data=first.location,
        kind=first.kind,
        fingerprint=first.fingerprint,
        backbone=", ".join(
            sorted({each.planned.network(each.setting.device) for each in arms if each.planned.kind not in FLOORS})
        ),
        image_size=config.image_size,
        features=config.features,
        erase=config.erase,
        epochs=config.epochs,
        gap_margin=config.gap_margin,
        classes=first.classes,
        splits=tuple(facts_of(seed, setting, "") for seed, setting in settings.items()),
        runs=tuple(runs),
        seconds=time.monotonic() - start,
    )
    made = [(arm, [each for each in arms if each.planned is arm]) for arm in planned]
    return Ablation(
        comparison=comparison,
        arms=tuple(arm.name for arm in planned),
        references=tuple(arm.name for arm in planned if arm is planned[0] or arm.kind == "imagenet"),
        images=config.images,
        curves={arm.name: tuple(each.curve for each in splits if arm.kind == "vae") for arm, splits in made},
        artefacts={
            arm.name: tuple(each.artefacts for each in splits) for arm, splits in made if arm.kind not in FLOORS
        },
        latents={
            arm.name: tuple(each.latents for each in splits)
            for arm, splits in made
            if arm.kind == "vae" and arm.encoder == arm.name
        },
    )


def work(config: AblateConfig, tracker: Tracker, folder: Path) -> None:
    """In a worker's process: make what no other has made or is making, in the run that the parent has opened.

    A unit of work is the arms of a split that share an encoder. A unit that another worker has is left to it, and the
    parent sees at the end that nothing is missing.

    Raises:
        UserError: bad data, parameters or plan. NonFiniteLoss: a training diverged. KeyboardInterrupt: the parent has
            gone.
    """
    alive = parent_watch()  # before anything that takes time
    arms = _arms(config, read_plan(config), _settings(config, NullTracker()), folder, alive)
    claims = Claims(folder / "locks")
    with progress("Ablating", len(arms), "arms") as bar:
        look = _look(arms, bar)
        for unit in dict.fromkeys(arm.unit for arm in arms):
            bar.note(unit)
            with claims.offered(unit) as own:
                for arm in arms if own else []:
                    if arm.unit == unit and not arm.finished:
                        arm.make(tracker, resume=True)
            look()


def _worked(
    config: AblateConfig, arms: list[PlannedArm], claims: Claims, run_id: str, folder: Path, look: Callable[[], None]
) -> bool:
    """Whether workers were started: as many as were asked for and have something to do, if more than one."""
    workers = min(config.workers, len({arm.unit for arm in arms if not arm.finished}))
    if workers > 1:
        claims.offer_again()
        run_workers(replace(config, workers=workers, resume=run_id), "ablate", run_id, folder, look)
    return workers > 1


def _settings(config: AblateConfig, tracker: Tracker) -> dict[int, Setting]:
    """The data under each split's seed; it is logged once."""
    settings: dict[int, Setting] = {}
    for seed in config.split_seeds:
        logged: Tracker = NullTracker() if settings else tracker
        settings[seed] = prepare_setting(replace(config, split_seed=seed), logged)
    return settings


def _arms(
    config: AblateConfig,
    planned: list[Planned],
    settings: dict[int, Setting],
    folder: Path,
    alive: Callable[[], None] = lambda: None,
) -> list[PlannedArm]:
    """Split by split, in the plan's order."""
    own = [item.name for item in fields(config) if item.name not in ELSEWHERE]
    identity = {item: getattr(config, item) for item in own}
    identity |= {"data": next(iter(settings.values())).dataset.fingerprint}
    device = next(iter(settings.values())).device
    recipes = [_recipe(arm.pretraining(config, config.split_seed), device) for arm in planned if arm.kind == "vae"]
    recipes += [{"backbone": arm.network(device)} for arm in planned if arm.kind != "vae"]
    identity |= {"plan": hashlib.sha256(repr((planned, recipes)).encode()).hexdigest()}
    cells = Cells(folder / "cells", identity, resume=bool(config.resume), growing="splits")
    places = tuple(
        Place(protocol, mode, fraction)
        for mode in config.mode_names
        for protocol in config.protocol_names
        for fraction in config.fractions
    )
    arms = []
    for seed, setting in settings.items():
        on_split = partial(PlannedArm, split=seed, setting=setting, scores=VaeScores(setting))
        shared = partial(on_split, config=config, places=places, folder=folder, cells=cells, alive=alive)
        arms += [shared(planned=arm) for arm in planned]
    return arms


def _recipe(config: PretrainConfig, device: torch.device) -> dict[str, object]:
    """What a plan leaves out as well: a default that has changed since, or is another here, makes another ablation."""
    given = {item.name: getattr(config, item.name) for item in fields(config) if item.name not in ELSEWHERE}
    precision = choose_precision(config.precision, device)
    return given | {"backbone": choose_own_backbone(config.backbone, device), "precision": str(precision)}


def _look(arms: list[PlannedArm], bar: Progress) -> Callable[[], None]:
    """Shows how many arms are finished, whoever has made them."""
    shown = 0

    def look() -> None:
        nonlocal shown
        finished = sum(arm.finished for arm in arms)
        bar.advance(finished - shown)
        shown = finished

    return look
