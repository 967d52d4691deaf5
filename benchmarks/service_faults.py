"""Each of the three servers killed (SIGKILL) while many clients write: what they saw, and whether a write is missing.

    python benchmarks/service_faults.py --project DIR [--clients 32] [--seconds 20]

DIR holds docker-compose.yml and .env of a service that is up; it must be one to try things on. Each client logs batches
of 20 metrics to a run of its own, and every fifth time uploads 1 MB, with MLflow's own client and its retries. After a
quarter of the time the server is killed; Compose starts it again. What was acknowledged is then read back, one by one.
Ends with 1 if anything acknowledged is missing or differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
import requests
from dotenv import dotenv_values
from mlflow import MlflowClient
from mlflow.entities import Metric

SERVERS = ("postgres", "s3", "mlflow")


@dataclass
class Client:
    """One client's run, and what the server has acknowledged to it."""

    run: str
    steps: list[int] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # name: SHA-256
    errors: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0  # seconds

    def write(self, until: float, folder: Path) -> None:
        """Log and upload until then; a refused write is counted, and not tried again."""
        client, step = MlflowClient(), 0
        while time.monotonic() < until:
            started = time.monotonic()
            try:
                if step % 5 == 4:
                    file = folder / f"{self.run}-{step}.bin"
                    file.write_bytes(content := os.urandom(2**20))
                    client.log_artifact(self.run, str(file))
                    self.files[file.name] = hashlib.sha256(content).hexdigest()
                else:
                    client.log_batch(self.run, metrics=[Metric(f"m/{k}", step + k / 100, 0, step) for k in range(20)])
                    self.steps.append(step)
            except Exception as error:  # noqa: BLE001 (what a client may see is what is counted)
                self.errors[f"{type(error).__name__}: {error}"[:400]] += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            step += 1

    def missing(self, folder: Path) -> int:
        """How many acknowledged writes are not there, or not what was written."""
        client, lost = MlflowClient(), 0
        for k in (0, 19):
            found = {row.step: row.value for row in client.get_metric_history(self.run, f"m/{k}")}
            lost += sum(found.get(step) != step + k / 100 for step in self.steps)
        if self.files:
            local = Path(client.download_artifacts(self.run, "", str(folder)))
            for name, digest in self.files.items():
                file = local / name
                lost += not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest
        return lost


def kill(project: Path, server: str) -> None:
    """SIGKILL to the first process of a server's container; the engine takes it for a crash."""
    compose = ["docker", "compose", "--project-directory", str(project), "ps", "--quiet", server]
    container = subprocess.run(compose, capture_output=True, text=True, check=True).stdout.strip()
    words = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
    os.kill(int(subprocess.run(words, capture_output=True, text=True, check=True).stdout), signal.SIGKILL)


def time_away(uri: str, since: float) -> float:
    """Seconds from the kill until `/health` is good three seconds long (it remembers an answer for two)."""
    good_since: float | None = None
    while time.monotonic() < since + 120:
        try:
            good = requests.get(uri + "/health", timeout=10).status_code == 200
        except requests.RequestException:
            good = False
        now = time.monotonic()
        good_since = (good_since or now) if good else None
        if good_since and now - good_since > 3:
            return good_since - since
        time.sleep(0.1)
    return float("inf")


def fault(project: Path, uri: str, server: str, clients: int, seconds: float) -> int:
    """Load, kill, wait, read back; returns what is missing."""
    admin = MlflowClient()
    own = [Client(admin.create_run("0").info.run_id) for _ in range(clients)]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(clients) as pool:
        folder = Path(name)
        started = time.monotonic()
        writing = [pool.submit(each.write, started + seconds, folder) for each in own]
        time.sleep(seconds / 4)
        kill(project, server)
        away = time_away(uri, time.monotonic())
        for each in writing:
            each.result()
        took = time.monotonic() - started
        (folder / "back").mkdir()
        lost = sum(pool.map(lambda each: each.missing(folder / "back"), own))
    batches, files = sum(len(each.steps) for each in own), sum(len(each.files) for each in own)
    errors: Counter[str] = sum((each.errors for each in own), Counter())
    print(
        f"{server:8} killed under {clients} clients: healthy again after {away:.1f} s, slowest call "
        f"{max(each.slowest for each in own):.1f} s, {batches} batches and {files} files acknowledged in {took:.0f} s, "
        f"{sum(errors.values())} refused, {lost} missing",
        flush=True,
    )
    for text, count in errors.most_common(5):
        print(f"    {count} x {text}")
    return lost


def main() -> int:
    """One server after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    arguments = parser.parse_args()
    own = dotenv_values(arguments.project / ".env", interpolate=False)
    os.environ |= {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": str(own["MLFLOW_ADMIN_PASSWORD"])}
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    uri = f"http://127.0.0.1:{own['MLFLOW_PORT']}"
    mlflow.set_tracking_uri(uri)
    lost = [fault(arguments.project, uri, each, arguments.clients, arguments.seconds) for each in arguments.servers]
    return 1 if any(lost) else 0


if __name__ == "__main__":
    sys.exit(main())
