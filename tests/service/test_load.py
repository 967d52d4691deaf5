"""Many clients at once: no request refused for want of a connection, and a backup under load that is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
import requests
from conftest_service import free_ports
from mlflow import MlflowClient
from mlflow.entities import Metric

from derm_ml.service import backup
from derm_ml.service.native import NativeStack

pytestmark = pytest.mark.service


def test_more_clients_than_connections(admin):
    """MLflow's own pool of 15 for a worker comes to a standstill here: every session waits for another's second one.

    Clients without retries, each on a connection of its own, as many as MLflow lets into two workers.
    """
    mlflow.set_tracking_uri(admin.uri)
    run = MlflowClient().create_run("0").info.run_id
    auth = ("admin", admin.settings["MLFLOW_ADMIN_PASSWORD"])
    start = threading.Barrier(80)

    def log(index: int) -> int:
        rows = [{"key": f"m/{k}", "value": float(k), "timestamp": 0, "step": index} for k in range(50)]
        start.wait()
        url = admin.uri + "/api/2.0/mlflow/runs/log-batch"
        return requests.post(url, json={"run_id": run, "metrics": rows}, auth=auth, timeout=120).status_code

    with ThreadPoolExecutor(80) as pool:
        assert set(pool.map(log, range(80))) == {200}
    assert sorted(row.step for row in MlflowClient().get_metric_history(run, "m/7")) == list(range(80))


class Writer:
    """A client that logs until it is told to stop: metrics, a file, then a version of it, over and over."""

    def __init__(self, name: str, folder: Path) -> None:
        self._folder, self.client, self.run = folder, MlflowClient(), MlflowClient().create_run("0").info.run_id
        self.model, self.steps, self.files, self.versions = name, 0, {}, []
        self.halt = threading.Event()
        self.client.create_registered_model(name)

    def write(self) -> None:
        """Each line counts once the server has acknowledged it."""
        step = self.steps
        self.client.log_batch(self.run, metrics=[Metric(f"m/{k}", step + k / 10, 0, step) for k in range(10)])
        self.steps += 1
        file = self._folder / f"{self.model}-{step}.bin"
        file.write_bytes(content := os.urandom(300_000))
        self.client.log_artifact(self.run, str(file), f"model{step}")
        self.files[f"model{step}/{file.name}"] = hashlib.sha256(content).hexdigest()
        source = f"runs:/{self.run}/model{step}"
        self.versions.append(self.client.create_model_version(self.model, source, self.run).version)

    def loop(self) -> None:
        while not self.halt.is_set():
            self.write()


def test_a_backup_under_load_is_whole_on_another_machine(admin, monkeypatch, tmp_path):
    """What was acknowledged before it began is in it, and every version that it knows has its files, byte for byte.

    It is restored into a new service with passwords of its own, whose administrator can log in.
    """
    mlflow.set_tracking_uri(admin.uri)
    writers = [Writer(f"under-load-{index}", tmp_path) for index in range(6)]
    with ThreadPoolExecutor(len(writers)) as pool:
        loops = [pool.submit(each.loop) for each in writers]
        while min(len(each.versions) for each in writers) < 3:
            assert not any(each.done() for each in loops)
        before = [(each.steps, dict(each.files), list(each.versions)) for each in writers]
        backup.backup(admin, tmp_path / "saved")
        for each in writers:
            each.halt.set()
        for each in loops:
            each.result()
    assert all(len(each.versions) > len(then[2]) for each, then in zip(writers, before, strict=True)), (
        "written meanwhile"
    )
    folder = Path(tempfile.mkdtemp(prefix="derm-ml-", dir="/var/tmp"))
    folder.chmod(0o755)
    ports = free_ports(3)
    other = NativeStack(folder, (ports[0], ports[1], ports[2]))
    try:
        backup.restore(other, tmp_path / "saved", replace=False)
        assert other.settings["MLFLOW_ADMIN_PASSWORD"] != admin.settings["MLFLOW_ADMIN_PASSWORD"]
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", other.settings["MLFLOW_ADMIN_PASSWORD"])
        mlflow.set_tracking_uri(other.uri)
        client = MlflowClient(other.uri)
        for each, (steps, files, versions) in zip(writers, before, strict=True):
            logged = {row.step: row.value for row in client.get_metric_history(each.run, "m/3")}
            assert [logged[step] for step in range(steps)] == [step + 0.3 for step in range(steps)]
            restored = {version.version: version for version in client.search_model_versions(f"name='{each.model}'")}
            assert set(versions) <= set(restored)
            local = Path(client.download_artifacts(each.run, "", str(folder)))
            wanted = files | {f"model{int(v) - 1}/{each.model}-{int(v) - 1}.bin": None for v in restored}
            for name in wanted:
                assert hashlib.sha256((local / name).read_bytes()).hexdigest() == each.files[name]
    finally:
        other.stop()
        shutil.rmtree(folder)
