"""What drawing artefacts onto the views costs a pretraining: CPU seconds of an epoch with and without, in pairs.

python benchmarks/artefact_time.py DIR [--pairs 3] [--networks derm_small,derm_medium]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

from derm_ml.config import PretrainConfig
from derm_ml.pipelines.pretrain import train
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.tracking.base import NullTracker


def seconds(config: PretrainConfig, setting: Setting) -> float:
    """Of CPU time, for one epoch with its evaluation."""
    minutes = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            config,
            setting,
            NullTracker(),
            Path(folder),
            record=lambda epoch, metrics: minutes.append(metrics["cpu_minutes"]),
        )
    return 60 * minutes[-1]


def main() -> None:
    """Print a line a pair, and the median ratio of each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--networks", default="derm_small,derm_medium")
    given = parser.parse_args()
    for network in given.networks.split(","):
        config = PretrainConfig(
            data=given.data, backbone=network, epochs=1, image_fraction=0.2, precision="bf16", figures_every=2
        )
        setting, ratios = prepare_setting(config, NullTracker()), []
        for _ in range(given.pairs):
            without, with_them = (seconds(replace(config, artefacts=each), setting) for each in (0.0, 0.2))
            ratios.append(with_them / without)
            print(f"{network}: {without:.1f} s without, {with_them:.1f} s with artefacts", flush=True)
        print(f"{network}: {median(ratios):.3f} times the CPU time (median of {given.pairs} pairs)")


if __name__ == "__main__":
    main()
