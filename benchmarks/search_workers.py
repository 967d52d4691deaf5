"""Trials an hour of one worker and of two, each pinned to a core of its own, on one study.

    .venv/bin/python benchmarks/search_workers.py DATA

Every trial is one epoch, so that none can be pruned. The time is from the first trial's start to the last one's end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import closing

from derm_ml.search.storage import open_storage


def trials_an_hour(data: str, workers: int, trials: int) -> float:
    """A new study in a new folder, `workers` processes that join it."""
    with tempfile.TemporaryDirectory() as folder:
        words = {"data": data, "image_size": 32, "epochs": 1, "kl_warmup": 1, "trials": trials, "study": "timed"}
        words |= {"backbone": "tf_efficientnet_lite0", "batch_size": 64, "decoder_width": 1}
        words |= {"invariance": "none", "crop": 1, "augment": 1, "artefacts": 0}
        command = [sys.executable, "-m", "derm_ml", "pretrain"]
        command += [f"--{key.replace('_', '-')}={value}" for key, value in words.items()]
        own = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "DERM_ML_RUNS": folder, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *command],
                env=os.environ | own,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for core in sorted(os.sched_getaffinity(0))[:workers]
        ]
        codes = [process.wait() for process in processes]
        assert not any(codes), codes
        with closing(open_storage(f"sqlite:///{folder}/studies.db")) as storage:
            ended = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
        assert [trial.state.name for trial in ended] == ["COMPLETE"] * trials
        seconds = max(each.datetime_complete for each in ended) - min(each.datetime_start for each in ended)
        return trials / seconds.total_seconds() * 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--trials", type=int, default=4, help="of one worker; two get twice as many")
    parser.add_argument("--pairs", type=int, default=2)
    arguments = parser.parse_args()
    for pair in range(1, arguments.pairs + 1):
        one = trials_an_hour(arguments.data, 1, arguments.trials)
        two = trials_an_hour(arguments.data, 2, 2 * arguments.trials)
        print(f"pair {pair}: one worker {one:.1f} trials/h, two {two:.1f}, ratio {two / one:.2f}", flush=True)


if __name__ == "__main__":
    main()
