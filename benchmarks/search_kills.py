"""A search whose workers are killed (SIGKILL) until ten trials were cut off in the middle; what became of every one.

    .venv/bin/python benchmarks/search_kills.py [--data DATA]

Two workers at a time; the one that has just written a trial's checkpoint is killed, and started again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from derm_ml.search.storage import open_storage
from derm_ml.search.study import reason_of
from derm_ml.tracking.runs import connect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic:n=200,size=40")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "DERM_ML_RUNS": folder}
        os.environ |= {"DERM_ML_HEARTBEAT": "2", "OMP_NUM_THREADS": "1"}
        words = {"data": arguments.data, "image_size": 32, "epochs": 6, "kl_warmup": 1, "figures_every": 2}
        words |= {
            "trials": arguments.trials,
            "study": "killed",
            "backbone": "test_efficientnet",
            "invariance": "none",
            "crop": 1,
            "artefacts": 0,
            "augment": 1,
            "batch_size": 64,
            "decoder_width": 1,
        }
        command = [sys.executable, "-m", "derm_ml", "pretrain"]
        command += [f"--{key.replace('_', '-')}={value}" for key, value in words.items()]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        workers, killed = [start(), start()], 0
        while interrupted(folder) < arguments.kills:
            seen = checkpoints(folder)
            deadline = time.monotonic() + 120
            while not checkpoints(folder) - seen:
                assert all(worker.poll() is None for worker in workers), "the search ended before the kills did"
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(draw.uniform(0, 0.5))
            number = draw.randrange(2)
            workers[number].send_signal(signal.SIGKILL)
            workers[number].wait()
            killed += 1
            workers[number] = start()
        codes = [worker.wait() for worker in workers]
        print(f"{killed} workers killed")
        report(folder, arguments.trials, codes)


def interrupted(folder: str) -> int:
    """Trials that have been noticed to be killed: a worker between two trials has none."""
    if not Path(folder, "studies.db").is_file():
        return 0
    with closing(open_storage(f"sqlite:///{folder}/studies.db")) as storage:
        found = storage.get_all_studies()
        trials = storage.get_all_trials(found[0]._study_id) if found else []
    return sum(trial.state.name == "FAIL" for trial in trials)


def checkpoints(folder: str) -> set[tuple[Path, int]]:
    """Every checkpoint there is, with the time of its writing."""
    found = set()
    for path in Path(folder).glob("*/trial-*/last.safetensors"):
        try:
            found.add((path, path.stat().st_mtime_ns))
        except FileNotFoundError:  # a finished trial's, just removed
            continue
    return found


def report(folder: str, trials: int, codes: list[int]) -> None:
    """What the study and MLflow say, and whether they agree."""
    with closing(open_storage(f"sqlite:///{folder}/studies.db")) as storage:
        study = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    client = connect()
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run for run in client.search_runs(ids) if run.info.run_name.startswith("trial-")]
    ended = Counter(trial.user_attrs["index"] for trial in study if trial.state.name in ("COMPLETE", "PRUNED"))
    states = Counter(trial.state.name.lower() for trial in study)
    given_up = [reason_of(trial) for trial in study if reason_of(trial)]
    again = Counter(trial.user_attrs["index"] for trial in study if trial.state.name == "FAIL")
    torn = 0
    for run in runs:
        steps = [row.step for row in client.get_metric_history(run.info.run_id, "val/elbo")]
        torn += steps != list(range(1, len(steps) + 1))
    print(f"last workers' exit codes {codes}")
    print(f"study: {dict(states)}; trials run again: {sum(again.values())} times, of {len(again)} trials")
    print(f"ended exactly once: {sum(count == 1 for count in ended.values())} of {trials}")
    print(f"given up: {len(given_up)} {given_up}")
    print(f"nested runs: {len(runs)}, by status {dict(Counter(run.info.status for run in runs))}")
    print(f"runs with an epoch missing or twice: {torn}")


if __name__ == "__main__":
    main()
