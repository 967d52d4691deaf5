"""Record what pretraining gives over a grid of (beta, lr): the table on which samplers and pruners are compared.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/search_table.py DATA --part 0/2 & (and 1/2)

One line of JSON for each training: beta, lr, seed, and for each epoch the frozen probe's validation figures, the ELBO
at beta = 1 and the seconds so far. Goes on where it was stopped. Test images are not looked at.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from derm_ml.config import PretrainConfig
from derm_ml.pipelines.pretrain import train
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.tracking.base import NullTracker
from derm_ml.training.trainer import NonFiniteLoss

SMALL = {"image_size": 32, "epochs": 3, "kl_warmup": 1, "figures_every": 1}
# the plain VAE in ImageNet's network
SMALL |= {"backbone": "tf_efficientnet_lite0", "batch_size": 64, "decoder_width": 1.0}
SMALL |= {"invariance": "none", "crop": 1.0, "augment": 1.0, "artefacts": 0.0}
BETAS = np.geomspace(0.01, 100, 8)
LRS = np.geomspace(1e-4, 1e-2, 8)
KEPT = ("probe/auroc", "probe/loss", "probe/gap", "val/elbo", "gap/loss")


def points(more: list[str]) -> list[tuple[float, float, int]]:
    """The grid at seed 0 in a fixed random order, then six seeds at the defaults and at every further point."""
    grid = [(float(beta), float(lr), 0) for beta, lr in itertools.product(BETAS, LRS)]
    order = np.random.default_rng(0).permutation(len(grid))
    repeated = [(1.0, 1e-3), *(tuple(map(float, each.split(","))) for each in more)]
    return [grid[i] for i in order] + [(beta, lr, seed) for beta, lr in repeated for seed in range(6)]


def outcome(config: PretrainConfig, setting: Setting) -> dict[str, object]:
    """Train once; the epochs' figures, and the reason where the training diverged."""
    epochs: list[dict[str, float]] = []
    began, error = time.perf_counter(), ""

    def watch(epoch: int, metrics: Mapping[str, float]) -> None:
        found = {name: float(metrics[name]) for name in KEPT if name in metrics}
        epochs.append({"epoch": epoch, "seconds": time.perf_counter() - began, **found})

    with TemporaryDirectory() as folder:
        try:
            train(config, setting, NullTracker(), Path(folder), watch=watch)
        except NonFiniteLoss as reason:
            error = str(reason)
    return {"beta": config.beta, "lr": config.lr, "seed": config.seed, "epochs": epochs, "error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--part", default="0/1", help="K/N: every Nth point, from the Kth")
    parser.add_argument("--out", type=Path, default=Path("search_table.jsonl"))
    parser.add_argument("--also", action="append", default=[], metavar="BETA,LR", help="six seeds there as well")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    done = set()
    if arguments.out.is_file():
        rows = map(json.loads, arguments.out.read_text().splitlines())
        done = {(row["beta"], row["lr"], row["seed"]) for row in rows}
    base = PretrainConfig(data=arguments.data, **SMALL)
    setting = prepare_setting(base, NullTracker())
    for beta, lr, seed in points(arguments.also)[part::parts]:
        if (beta, lr, seed) not in done:
            row = outcome(replace(base, beta=beta, lr=lr, seed=seed), setting)
            with arguments.out.open("a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
