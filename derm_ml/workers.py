"""Several processes of one command on this machine, each with its share of the cores, and of the GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

from derm_ml.config import AblateConfig, SearchConfig
from derm_ml.progress import note_line

POLL = 1.0  # seconds between looks at the workers


def run_workers(
    config: SearchConfig | AblateConfig, entry: str, run_id: str, folder: Path, look: Callable[[], None]
) -> list[str]:
    """Start `config.workers` processes of an entry point, which work for the MLflow run `run_id`; wait for all of them.

    Each has its share of the cores, and where there are several GPUs one of them. What they print as errors and
    progress goes to `folder`/worker-K.log. Of one that fails a line says so at once; the others go on.

    Args:
        look: called once a second, to show their common progress.

    Returns:
        What each of those that failed said last.

    Raises:
        KeyboardInterrupt: they were stopped, and have closed what they had open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logs = [folder / f"worker-{number}.log" for number in range(config.workers)]
    processes: list[subprocess.Popen[bytes]] = []
    failed: dict[int, str] = {}
    with ExitStack() as stack:
        try:
            for number, log in enumerate(logs):
                environment = _environment(number, config.workers, run_id)
                stderr = stack.enter_context(log.open("wb"))
                processes.append(subprocess.Popen(command_of(config, entry), env=environment, stderr=stderr))
            while any(process.poll() is None for process in processes):
                look()
                _tell_failed(processes, logs, failed)
                time.sleep(POLL)
        finally:
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            for process in processes:
                process.wait()
    _tell_failed(processes, logs, failed)
    return list(failed.values())


def _tell_failed(processes: list[subprocess.Popen[bytes]], logs: list[Path], failed: dict[int, str]) -> None:
    """A line of each that has failed since, and what it said last into `failed`."""
    for number, process in enumerate(processes):
        if process.poll() and number not in failed:
            failed[number] = _last_line(logs[number])
            note_line(f"worker {number} ended with {process.returncode}: {failed[number]}")


def parent_watch() -> Callable[[], None]:
    """For a worker process: raises KeyboardInterrupt once the process that started it has gone."""
    parent = os.getppid()

    def alive() -> None:
        if os.getppid() != parent:
            raise KeyboardInterrupt

    return alive


def command_of(config: SearchConfig | AblateConfig, entry: str) -> list[str]:
    """The command line of a worker: the entry point with this configuration, in one process."""
    values = {item.name: str(getattr(config, item.name)) for item in fields(config)} | {"workers": "1"}
    plan = ["--", values.pop("plan")] if "plan" in values else []  # positional, see cli.arguments
    words = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    return [sys.executable, "-m", "derm_ml", entry, *words, *plan]


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
