"""Compare: every arm at every seed under one protocol, then the test images, once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from derm_ml.config import CompareConfig, resolved
from derm_ml.metrics import classification_metrics
from derm_ml.models.backbones import choose_backbone
from derm_ml.pipelines.arms import Resolve
from derm_ml.pipelines.finetune import ArmFactory, ArmTraining, epochs_of
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.progress import progress
from derm_ml.results import ArmRun, Comparison
from derm_ml.tracking.base import Tracker

# backbone, image size, data fingerprint, split -> the reference of the best registered encoder
Find = Callable[[str, int, str, str], str]


def run(config: CompareConfig, tracker: Tracker, resolve: Resolve, find: Find) -> Comparison:
    """Train every arm x seed as a nested run, read the test images at the end, return all figures.

    Raises:
        UserError: bad data, parameters or encoder.
    """
    setting = prepare_setting(config, tracker)
    dataset = setting.dataset
    backbone = choose_backbone(config.backbone, setting.device)
    files = None
    if "vae" in config.arm_names:
        reference = config.encoder
        if reference == "auto":
            reference = find(backbone, config.image_size, dataset.fingerprint, dataset.split_id)
        files = resolve(reference)
    tracker.log_params(resolved(config, "compare") | {"compare.backbone": backbone})
    factory = ArmFactory(config, setting, files)
    seeds = range(config.seed, config.seed + config.seeds)
    trained: list[tuple[str, int, dict[str, np.ndarray], ArmTraining, Tracker]] = []
    with progress("Comparing", len(config.arm_names) * config.seeds * config.epochs, "epochs") as bar:
        for arm in config.arm_names:
            for seed in seeds:
                tags = {"arm": arm, "seed": str(seed), "protocol": config.protocol, "mode": config.mode}
                with tracker.child(f"{arm}-seed{seed}", tags) as child:
                    training = factory.make(arm, seed)
                    child.log_params(resolved(config, "compare") | {"compare.arm": arm, "compare.run_seed": seed})
                    child.set_tags({"encoder": training.origin})
                    history: dict[str, list[float]] = {}
                    for epoch, metrics in epochs_of(training, config.epochs):
                        child.log_metrics(metrics, step=epoch)
                        bar.advance()
                        for name, value in metrics.items():
                            history.setdefault(name, []).append(value)
                    arrays = {name: np.array(values) for name, values in history.items()}
                    trained.append((arm, seed, arrays, training, child))
    return _with_test(config, setting, backbone, trained, factory, files.uri if files else "")


def _with_test(
    config: CompareConfig,
    setting: Setting,
    backbone: str,
    trained: list[tuple[str, int, dict[str, np.ndarray], ArmTraining, Tracker]],
    factory: ArmFactory,
    encoder: str,
) -> Comparison:
    """The one place where test images are read: every arm is trained by now and nothing is chosen afterwards."""
    dataset = setting.dataset
    rows = factory.test_rows()
    labels = dataset.codes(rows)
    runs = []
    for arm, seed, history, training, child in trained:
        predicted = training.predict_test()
        test = {f"test/{k}": v for k, v in classification_metrics(predicted, labels, dataset.classes).items()}
        child.log_metrics(test, step=config.epochs)
        child.flush()
        runs.append(ArmRun(arm=arm, seed=seed, history=history, test=test, test_probabilities=predicted))
    return Comparison(
        data=dataset.location,
        fingerprint=dataset.fingerprint,
        backbone=backbone,
        image_size=config.image_size,
        mode=config.mode,
        features=config.features,
        protocol=config.protocol,
        epochs=config.epochs,
        classes=dataset.classes,
        counts=dataset.counts,
        test_labels=labels,
        test_groups=dataset.groups(rows),
        runs=tuple(runs),
        encoder=encoder,
    )
