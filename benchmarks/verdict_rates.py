"""How often the verdict calls a difference where there is none (A/A), and how often it finds one that was planted.

    python benchmarks/verdict_rates.py --data DIR --comparisons 200 --noise 0,0.2,0.4,0.8 --out rates.jsonl

A simulated comparison takes a fresh random part of the collection's groups, splits it anew, and trains real heads
(the pipeline's own) on two arms whose encoders are random projections of 8 x 8 mean colours, drawn anew for every
split: arms of the same kind under other seeds. `--noise` adds that many standard deviations of noise to the features
of the second arm: a planted difference, whose size is the mean of the estimates over all comparisons. The verdict is
then spoken as in a report, audits and Holm's correction included.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from derm_ml.config import HeadConfig
from derm_ml.data.dataset import ImageDataset, prepare
from derm_ml.data.splits import split_by_group
from derm_ml.metrics import classification_metrics
from derm_ml.pipelines.features import HeadTraining, SplitFeatures
from derm_ml.progress import progress
from derm_ml.results import ArmRun, Comparison, Place, SplitFacts
from derm_ml.seeding import numpy_generator
from derm_ml.verdict.audits import audit, void
from derm_ml.verdict.calls import calls
from derm_ml.verdict.measures import Measures

PLACE = Place("identical", "frozen", 1.0)
CONFIG = HeadConfig(epochs=10, batch_size=128, lr=3e-3)
WIDTH = 64  # random features
SEEDS = 2


def colours(dataset: ImageDataset) -> np.ndarray:
    """Standardised 8 x 8 mean colours of every image, [n, 192]."""
    side = dataset.image_size // 8
    parts = []
    for start in range(0, len(dataset.table), 512):
        rows = np.arange(start, min(start + 512, len(dataset.table)))
        images = dataset.images[rows].astype(np.float32)
        parts.append(images.reshape(len(rows), 8, side, 8, side, 3).mean(axis=(2, 4)).reshape(len(rows), -1))
    found = np.concatenate(parts)
    return (found - found.mean(axis=0)) / found.std(axis=0)


def simulate(
    dataset: ImageDataset, inputs: np.ndarray, number: int, images: int, splits: int, noise: float, shared: bool
) -> Comparison:
    """One comparison: `imagenet` and `vae` are two draws of the same kind of encoder, the second one noisier."""
    rng = numpy_generator(number, "part")
    groups = rng.permutation(dataset.table["group"].unique())
    sizes = dataset.table["group"].value_counts()[groups].cumsum()
    rows = np.flatnonzero(dataset.table["group"].isin(groups[: int((sizes <= images).sum())]))
    table = dataset.table.iloc[rows].assign(split="").reset_index(drop=True)
    facts, runs = [], []
    for split in range(splits):
        parts = split_by_group(table, 1000 * number + split).to_numpy()
        where = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test")}
        facts.append(_facts(table, where, split))
        for arm, sd in (("imagenet", 0.0), ("vae", noise)):
            draw = numpy_generator(number, "encoder", "shared" if shared else arm, split)
            features = np.tanh(inputs[rows] @ draw.normal(size=(inputs.shape[1], WIDTH)) / inputs.shape[1] ** 0.5)
            features = features + sd * draw.normal(size=features.shape)
            codes = table["code"].to_numpy()
            other = 100 if arm == "vae" else 0  # heads of other seeds
            runs += [_run(arm, split, each, other, features, codes, where, dataset.classes) for each in range(SEEDS)]
    return Comparison(
        data=dataset.location, kind=dataset.kind, fingerprint=dataset.fingerprint, backbone="projection", image_size=64,
        features="last", epochs=CONFIG.epochs, gap_margin=0.05, classes=dataset.classes, splits=tuple(facts),
        runs=tuple(runs),
    )  # fmt: skip


def _facts(table, where: dict[str, np.ndarray], split: int) -> SplitFacts:  # type: ignore[no-untyped-def]
    codes, groups = table["code"].to_numpy(), table["group"].to_numpy()
    return SplitFacts(
        seed=split, identity=str(split), counts={name: len(rows) for name, rows in where.items()},
        train_groups=np.unique(groups[where["train"]]), val_labels=codes[where["val"]], val_groups=groups[where["val"]],
        test_labels=codes[where["test"]], test_groups=groups[where["test"]], test_ids=where["test"],
    )  # fmt: skip


def _run(arm, split, seed, other, features, codes, where, classes) -> ArmRun:  # type: ignore[no-untyped-def]
    part = {
        name: SplitFeatures(torch.from_numpy(features[rows]).float(), codes[rows], torch.from_numpy(rows))
        for name, rows in where.items()
    }
    training = HeadTraining(part["train"], part["val"], classes, CONFIG, seed + other)
    for _ in range(CONFIG.epochs):
        training.step()
    said = {name: training.predict(each) for name, each in part.items()}
    train, val = (classification_metrics(said[name], part[name].labels, classes) for name in ("train", "val"))
    history = {"train/auroc": train["auroc"], "gap/loss": val["loss"] - train["loss"], "val/loss": val["loss"]}
    return ArmRun(
        arm=arm, split=split, seed=seed, place=PLACE, lr=CONFIG.lr, weight_decay=CONFIG.weight_decay,
        history={name: np.array([value]) for name, value in history.items()},
        val_probabilities=said["val"], test_probabilities=said["test"],
    )  # fmt: skip


def spoken(comparison: Comparison, splits: int) -> list[dict[str, object]]:
    """The calls on the comparison's first splits."""
    from dataclasses import replace

    part = replace(
        comparison,
        splits=comparison.splits[:splits],
        runs=tuple(run for run in comparison.runs if run.split < splits),
    )
    measures = Measures(part)
    out = void(audit(measures, PLACE))
    return [
        {
            "measure": call.measure.name, "splits": splits, "difference": call.difference.mean,
            "low": call.difference.low, "high": call.difference.high, "p": call.p, "word": call.word,
            "void": call.measure.name in out,
        }
        for call in calls(measures, "vae", "imagenet", PLACE, out)
    ]  # fmt: skip


_kept: dict[str, tuple[ImageDataset, np.ndarray]] = {}


def work(task: tuple[str, int, int, tuple[int, ...], float, bool]) -> list[dict[str, object]]:
    """One simulated comparison, in a process of its own."""
    torch.set_num_threads(1)
    data, number, images, splits, noise, shared = task
    if data not in _kept:
        dataset = prepare(data, 64, 0)
        _kept[data] = (dataset, colours(dataset))
    comparison = simulate(*_kept[data], number, images, max(splits), noise, shared)
    facts = {
        "comparison": number,
        "noise": noise,
        "images": images,
        "data": _kept[data][0].kind + ", one encoder" * shared,
    }
    return [{**facts, **row} for each in splits for row in spoken(comparison, each)]


def main() -> None:
    """Simulate, write every call as a line of JSON, print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="synthetic:n=3000,size=64", help="as in compare")
    parser.add_argument("--images", type=int, default=1500, help="of each comparison")
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--splits", default="1,3,5")
    parser.add_argument("--noise", default="0", help="standard deviations; 0 is A/A")
    parser.add_argument("--shared", action="store_true", help="both arms have one encoder a split: other heads alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("verdict_rates.jsonl"))
    given = parser.parse_args()
    splits = tuple(int(each) for each in given.splits.split(","))
    tasks = [
        (given.data, number, given.images, splits, float(noise), given.shared)
        for noise in given.noise.split(",")
        for number in range(given.comparisons)
    ]
    with (
        ProcessPoolExecutor(given.workers) as pool,
        progress("Simulating", len(tasks), "comparisons") as bar,
        given.out.open("a") as file,
    ):
        for rows in pool.map(work, tasks):
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            bar.advance()


if __name__ == "__main__":
    main()
