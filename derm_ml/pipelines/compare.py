"""Compare: arms x seeds x splits x label fractions x protocols x modes, then the test images, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from derm_ml.config import CompareConfig, HeadConfig, resolved
from derm_ml.latent_results import LatentStudy
from derm_ml.metrics import classification_metrics
from derm_ml.models.backbones import build_encoder
from derm_ml.models.pretrained import load_vae
from derm_ml.pipelines.arm_run import facts_of, train_arm
from derm_ml.pipelines.cells import Cells
from derm_ml.pipelines.design import Cell, Encoders, Split, plan_runs, prepare_splits
from derm_ml.pipelines.external import check_external, open_external
from derm_ml.pipelines.features import Recipe
from derm_ml.pipelines.finetune import ArmFactory
from derm_ml.pipelines.latents import study_latents
from derm_ml.pipelines.protocols import check_fed_alike, recipe_of
from derm_ml.pipelines.setup import Setting
from derm_ml.progress import progress
from derm_ml.results import ArmRun, Comparison, External, Place, SplitFacts
from derm_ml.tracking.base import Tracker


def run(config: CompareConfig, tracker: Tracker, encoders: Encoders, folder: Path) -> Comparison:
    """Make every run as a nested one, then hand over all figures; finished runs are kept in `folder` for a resume.

    Test images choose nothing: recipes are chosen on validation, and what the test says is logged when all is trained.

    Raises:
        UserError: bad data, parameters or encoder.
    """
    start = time.monotonic()
    backbone, splits = prepare_splits(config, tracker, encoders)
    first = splits[0].setting.dataset
    external, left_out = open_external(config, splits[0].setting) if config.external else (None, {})
    if external:
        check_external(external.dataset, [files for each in splits for files in each.encoders.values()])
    identity: dict[str, object] = {"data": first.fingerprint}
    identity |= {"splits": [each.setting.dataset.split_id for each in splits]}
    identity |= {"encoders": [{arm: files.uri for arm, files in each.encoders.items()} for each in splits]}
    machine = ("data", "device", "experiment", "resume", "encoder", "external")
    identity |= {item.name: getattr(config, item.name) for item in fields(config) if item.name not in machine}
    identity |= {"external": external.dataset.fingerprint if external else ""}
    cells = Cells(folder / "cells", identity, resume=bool(config.resume))
    tracker.log_params(resolved(config, "compare") | {"compare.backbone": backbone})
    head = HeadConfig(**{item.name: getattr(config, item.name) for item in fields(HeadConfig)})
    labelled = np.flatnonzero(first.table["code"] >= 0)
    factory = ArmFactory(head, splits[0].setting, {}, labelled, external=external)
    for split in splits:  # weights that cannot be had are said now, not after hours
        factory.with_split(*split).check(config.arm_names)
    plan = list(plan_runs(config, splits))
    runs: list[ArmRun] = []
    children: dict[str, Tracker] = {}
    with progress("Comparing", len(plan), "runs") as bar:
        recipes: dict[tuple[str, int, Place], Recipe] = {}
        for cell in plan:
            made = cells.get(cell.name)
            if made is None:
                own = factory.with_split(*cell.split)
                key = (cell.arm, cell.split.seed, cell.place)
                began = time.monotonic()
                if key not in recipes:
                    recipes[key] = recipe_of(own, cell.arm, config.seed, cell.place)
                bar.note(cell.name)
                with tracker.child(cell.name, cell.tags, resume=bool(config.resume)) as child:
                    made = _train(own, cell, recipes[key], child, config)
                children[cell.name] = child
                made = replace(made, seconds=time.monotonic() - began)
                cells.put(cell.name, made)
            runs.append(made)
            bar.advance()
    groups = check_fed_alike([each for each in runs if each.place.protocol == "identical"])
    tracker.set_tags({"protocol.identical": f"{groups} groups of arms, each fed alike (SHA-256 of what was fed)"})
    facts = tuple(facts_of(each.seed, each.setting, _uri(each, "vae")) for each in splits)
    _log_test(plan, runs, lambda cell: _nested(cell, children, tracker), facts, first.classes, config)
    return Comparison(
        data=first.location,
        kind=first.kind,
        fingerprint=first.fingerprint,
        backbone=backbone,
        vae_backbone=_fact(splits[0], "backbone"),
        vae_method=_fact(splits[0], "method") or "pretrained encoder",
        vae_objective="; ".join(dict.fromkeys(_fact(each, "objective") for each in splits)),
        vae_recipe="composed"
        if "composed" in {_fact(each, "recipe") for each in splits}
        else _fact(splits[0], "recipe"),
        image_size=config.image_size,
        features=config.features,
        erase=config.erase,
        epochs=config.epochs,
        gap_margin=config.gap_margin,
        classes=first.classes,
        splits=facts,
        runs=tuple(runs),
        external=_external_facts(external, left_out) if external else None,
        latents=_latents(splits[0]),
        champion=_uri(splits[0], "champion"),
        seconds=time.monotonic() - start,
    )


def _train(factory: ArmFactory, cell: Cell, recipe: Recipe, run: Tracker, config: CompareConfig) -> ArmRun:
    # The split's and the chosen recipe's values, not those that the comparison was started with.
    shown = replace(config, lr=recipe.lr, weight_decay=recipe.weight_decay, split_seed=cell.split.seed)
    run.log_params(resolved(shown, "compare") | {"compare.arm": cell.arm, "compare.run_seed": cell.seed})
    made = train_arm(factory, cell.arm, cell.seed, cell.place, recipe, run)
    run.set_tags({"encoder": made.origin, "fed": made.feed})
    return made


def _log_test(
    plan: list[Cell],
    runs: list[ArmRun],
    nested: Callable[[Cell], AbstractContextManager[Tracker]],
    splits: tuple[SplitFacts, ...],
    classes: tuple[str, ...],
    config: CompareConfig,
) -> None:
    """Test metrics onto the nested runs when everything is trained: nothing can be chosen by them."""
    labels = {facts.seed: facts.test_labels for facts in splits}
    for cell, run in zip(plan, runs, strict=True):
        measured = classification_metrics(run.test_probabilities, labels[run.split], classes)
        with nested(cell) as child:
            child.log_metrics({f"test/{key}": value for key, value in measured.items()}, step=config.epochs)
            child.flush()


def _nested(cell: Cell, children: dict[str, Tracker], tracker: Tracker) -> AbstractContextManager[Tracker]:
    """The run of a cell: this process's own, or that of the process which was interrupted."""
    own = children.get(cell.name)
    return nullcontext(own) if own else tracker.child(cell.name, cell.tags, resume=True)


def _fact(split: Split, name: str) -> str:
    """Of the vae arm's encoder, or else the plain arm's; empty where there is none or its maker has not said."""
    files = split.encoders.get("vae", split.encoders.get("plain"))
    return files.facts.get(name, "") if files else ""


def _uri(split: Split, arm: str) -> str:
    return split.encoders[arm].uri if arm in split.encoders else ""


def _latents(split: Split) -> LatentStudy | None:
    files = split.encoders.get("vae")
    if files is None or files.vae is None or "vae none" in files.facts.get("objective", ""):
        return None  # no VAE, or one whose decoder was not trained
    setting = split.setting
    name = files.facts.get("backbone", "")
    encoder = build_encoder(name, setting.dataset.image_size, generator_seed=0)
    return study_latents(load_vae(encoder, files.vae), setting)


def _external_facts(setting: Setting, left_out: dict[str, int]) -> External:
    dataset = setting.dataset
    rows = dataset.rows("test", labelled=True)
    return External(
        location=dataset.location,
        fingerprint=dataset.fingerprint,
        labels=dataset.codes(rows),
        groups=dataset.groups(rows),
        left_out=left_out,
    )
