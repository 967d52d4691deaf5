"""Several workers on this machine: a process each, which join the study as those of other machines do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

from derm_ml.config import SearchConfig
from derm_ml.errors import UserError
from derm_ml.progress import note_line, progress
from derm_ml.search.study import Study

POLL = 1.0  # seconds between looks at the workers


def start_workers(config: SearchConfig, entry: str, study: Study, run_id: str, folder: Path) -> None:
    """Start `config.workers` processes, show their common progress, wait for all of them.

    Each has its share of the cores, and where there are several GPUs one of them. What they print as errors and
    progress goes to `folder`/worker-K.log.

    Raises:
        UserError: none of them came to its end. KeyboardInterrupt: they were stopped, and have closed their trials.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = replace(config, study=study.name)
    shown = study.counts().spent
    with ExitStack() as stack, progress("Search", config.trials - shown, "trials") as bar:
        processes = []
        for number in range(config.workers):
            log = stack.enter_context((folder / f"worker-{number}.log").open("wb"))
            environment = _environment(number, config.workers, run_id)
            processes.append(subprocess.Popen(_command(config, entry), env=environment, stderr=log))
        try:
            while any(process.poll() is None for process in processes):
                spent = study.counts().spent
                bar.advance(spent - shown)
                shown = spent
                time.sleep(POLL)
        finally:
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            codes = [process.wait() for process in processes]
    for number, code in enumerate(codes):
        if code:
            note_line(f"worker {number} ended with {code}: {_last_line(folder / f'worker-{number}.log')}")
    if all(codes):
        raise UserError(f"no worker came to its end: {_last_line(folder / 'worker-0.log')}")


def parent_watch() -> Callable[[], None]:
    """For a worker process: raises KeyboardInterrupt once the process that started it has gone."""
    parent = os.getppid()

    def alive() -> None:
        if os.getppid() != parent:
            raise KeyboardInterrupt

    return alive


def _command(config: SearchConfig, entry: str) -> list[str]:
    own = replace(config, workers=1)
    words = [f"--{item.name.replace('_', '-')}={getattr(own, item.name)}" for item in fields(own)]
    return [sys.executable, "-m", "derm_ml", entry, *words]


def _environment(number: int, workers: int, run_id: str) -> dict[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, len(os.sched_getaffinity(0)) // workers))
    own = {"OMP_NUM_THREADS": threads, "DERM_ML_WORKER_RUN": run_id}
    if gpus := _gpus():
        own["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return {key: value for key, value in os.environ.items() if key != "MLFLOW_RUN_ID"} | own


def _gpus() -> list[str]:
    """The GPUs to deal out; none where there is at most one."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = given.split(",") if given else [str(number) for number in range(torch.cuda.device_count())]
    return found if len(found) > 1 else []


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
