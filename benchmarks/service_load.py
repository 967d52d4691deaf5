"""Load on the shared service: metrics in batches, 50 MB artifacts, searches among many runs, at 1, 8 and 32 clients.

    python benchmarks/service_load.py --native DIR [--runs 10000] [--seconds 10] [--env NAME=VALUE ...]

The runs are put into the database by SQL (their metrics are made up); everything that is timed goes over HTTP, as
MLflow's clients send it, through the login. Prints a line for each kind and number of clients: what was done a second,
latencies, failed requests, and for each server its memory at the end and the processor cores it kept busy.
--env restarts the servers with that variable, for a before and after: MLFLOW_WORKERS=4, "PGOPTIONS=-c jit=on", ...
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import psutil
from mlflow import MlflowClient
from mlflow.entities import Metric

from derm_ml.service.native import NativeStack

SERVERS = ("mlflow", "postgres", "s3")
SEED = """
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace)
  VALUES ('load', 'mlflow-artifacts:/load', 'active', 0, 0, 'default');
INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage, artifact_uri,
                  experiment_id, user_id, entry_point_name, source_name, source_version)
  SELECT md5('load' || i), 'load-' || i, 'LOCAL', 'FINISHED', i, i, 'active', 'mlflow-artifacts:/load/' || i,
         (SELECT experiment_id FROM experiments WHERE name = 'load'), 'x', '', '', ''
  FROM generate_series(1, {runs}) i;
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
  SELECT 'metric/' || m, random(), 0, 0, false, md5('load' || i)
  FROM generate_series(1, {runs}) i, generate_series(1, 50) m;
INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
  SELECT key, value, timestamp, run_uuid, step, is_nan FROM latest_metrics WHERE key LIKE 'metric/%';
ANALYZE;
"""


def measure(name: str, clients: int, seconds: float, work: Callable[[int], None], stack: NativeStack) -> None:
    """Repeat the work in `clients` threads for a time; print rate, latencies and what the servers used."""
    times: list[float] = []
    errors: list[str] = []
    end = time.monotonic() + seconds

    def client(index: int) -> None:
        while time.monotonic() < end:
            started = time.monotonic()
            try:
                work(index)
                times.append(time.monotonic() - started)
            except Exception as error:  # noqa: BLE001 (what a client may see is what is counted)
                errors.append(f"{type(error).__name__}: {error}"[:100])

    before = {server: processor_seconds(family(stack, server)) for server in SERVERS}
    own, started = sum(psutil.Process().cpu_times()[:2]), time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    took = time.monotonic() - started
    p50, p95 = (np.quantile(times, q) * 1000 for q in (0.5, 0.95)) if times else (float("nan"),) * 2
    uses = []
    for server in SERVERS:
        processes = family(stack, server)
        memory = sum(each.memory_full_info().uss for each in processes) / 2**20
        uses.append(f"{server} {memory:.0f} MB {(processor_seconds(processes) - before[server]) / took:.2f}")
    clients_use = (sum(psutil.Process().cpu_times()[:2]) - own) / took
    print(
        f"{name:8} {clients:3} clients {len(times) / took:7.1f}/s  p50 {p50:7.0f} ms  p95 {p95:7.0f} ms"
        f"  errors {len(errors)}  {', '.join(uses)}, clients {clients_use:.2f}",
        flush=True,
    )
    for text in sorted(set(errors))[:3]:
        print("   ", text)


def family(stack: NativeStack, server: str) -> list[psutil.Process]:
    """A server's processes."""
    if server == "postgres":
        first = psutil.Process(int((stack.folder / "postgres" / "postmaster.pid").read_text().split()[0]))
    else:
        found = stack._process(server)
        if found is None:
            return []
        first = found
    return [first, *first.children(recursive=True)]


def processor_seconds(processes: list[psutil.Process]) -> float:
    """User and system time, of ended children too: PostgreSQL has a process for each connection."""
    return sum(sum(each.cpu_times()[: 4 if index == 0 else 2]) for index, each in enumerate(processes))


def main() -> None:
    """Seed, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--native", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--kinds", nargs="+", default=["log", "search", "upload"])
    parser.add_argument("--env", nargs="+", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    stack = NativeStack(arguments.native)
    if arguments.env:
        stack.stop()
    for row in arguments.env:
        name, _, value = row.partition("=")
        os.environ[name] = stack.settings[name] = value
    stack.start()
    os.environ |= {
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": stack.settings["MLFLOW_ADMIN_PASSWORD"],
    }
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    mlflow.set_tracking_uri(stack.uri)
    client = MlflowClient()
    found = client.get_experiment_by_name("load")
    if not found:
        stack.database("psql", "-d", "mlflow", "-v", "ON_ERROR_STOP=1", "-q", "-c", SEED.format(runs=arguments.runs))
        found = client.get_experiment_by_name("load")
    print(f"{arguments.runs} runs of 50 metrics; {' '.join(arguments.env) or 'as configured'}")
    own = [client.create_run(found.experiment_id).info.run_id for _ in range(max(arguments.clients))]
    step = iter(range(10**9))

    def log(index: int) -> None:
        at = next(step)
        client.log_batch(own[index], metrics=[Metric(f"m/{k}", float(k), 0, at) for k in range(100)])

    def search(index: int) -> None:
        words = f"metrics.`metric/{index % 50 + 1}` > 0.9"
        client.search_runs(
            [found.experiment_id], words, order_by=[f"metrics.`metric/{index % 50 + 1}` DESC"], max_results=100
        )

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.bin"
        file.write_bytes(os.urandom(50 * 2**20))
        works = {"log": log, "search": search, "upload": lambda index: client.log_artifact(own[index], str(file))}
        for name in arguments.kinds:
            for clients in arguments.clients:
                measure(name, clients, arguments.seconds, works[name], stack)


if __name__ == "__main__":
    main()
