"""Backup, loss, restore; garbage collection beside the registry; upgrade after a backup."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from derm_ml.cli import main
from derm_ml.errors import UserError
from derm_ml.service import backup, users

pytestmark = pytest.mark.service


def fill(client: MlflowClient, folder: Path, name: str) -> tuple[str, str, dict[str, str]]:
    """An experiment with a run, its artifacts (one empty, one of 9 MB, one with an odd name), a registered model."""
    experiment = client.create_experiment(name)
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "lr", "1e-3")
    for step in range(20):
        client.log_metric(run, "gap/loss", 0.1 * step, step=step)
    content = {"weights.bin": os.urandom(9 * 2**20), "empty": b"", "deep/a b, c=ü.txt": "ü".encode()}
    for path, data in content.items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    client.log_artifacts(run, str(folder / name))
    model = client.create_logged_model(experiment, name="encoder", source_run_id=run)
    client.log_model_artifacts(model.model_id, str(folder / name))
    client.finalize_logged_model(model.model_id, "READY")
    return (
        experiment,
        run,
        {path: hashlib.sha256(data).hexdigest() for path, data in content.items()} | {"model": model.model_id},
    )


def contents(uri: str, folder: Path) -> dict[str, str]:
    local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    return {
        str(path.relative_to(local)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in local.rglob("*")
        if path.is_file()
    }


def test_lost_volumes_come_back_byte_for_byte(admin, tmp_path):
    mlflow.set_tracking_uri(admin.uri)
    client = MlflowClient()
    _, run, facts = fill(client, tmp_path / "in", "kept")
    client.create_registered_model("kept-encoder")
    version = client.create_model_version("kept-encoder", f"models:/{facts['model']}", run, model_id=facts["model"])
    client.set_registered_model_alias("kept-encoder", "champion", version.version)
    password = users.add_user(admin.uri, "keeper", guest=False)
    expected = {key: value for key, value in facts.items() if key != "model"}
    native = ["--native", str(admin.folder)]
    assert main(["service", "backup", str(tmp_path / "saved"), *native]) == 0
    assert main(["service", "backup", str(tmp_path / "saved"), *native]) == 2  # never over an older one
    client.log_metric(run, "after", 1.0)
    admin.stop()
    shutil.rmtree(admin.folder / "postgres")
    shutil.rmtree(admin.folder / "s3")
    assert main(["service", "restore", str(tmp_path / "saved"), *native]) == 0
    logged = client.get_run(run)
    assert logged.data.params == {"lr": "1e-3"}
    assert "after" not in logged.data.metrics
    assert [row.value for row in client.get_metric_history(run, "gap/loss")] == [0.1 * step for step in range(20)]
    assert contents(client.get_run(run).info.artifact_uri, tmp_path / "run") == expected
    assert contents("models:/kept-encoder@champion", tmp_path / "model") == expected
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = "keeper", password
    client.log_metric(run, "after", 2.0)
    assert main(["service", "restore", str(tmp_path / "saved"), *native]) == 2  # it holds runs
    (tmp_path / "saved" / "objects.tar").write_bytes((tmp_path / "saved" / "objects.tar").read_bytes()[:-5000])
    with pytest.raises(UserError, match=r"objects\.tar does not match its SHA-256"):
        backup.restore(admin, tmp_path / "saved", replace=True)
    assert client.get_run(run).data.metrics["after"] == 2.0


def test_a_failed_backup_leaves_nothing(admin, tmp_path, monkeypatch):
    def refuse(*words, **options):
        raise UserError("the store is gone")

    monkeypatch.setattr(admin, "task", refuse)
    with pytest.raises(UserError, match="the store is gone"):
        backup.backup(admin, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_collection_frees_all_but_what_a_version_needs(admin, tmp_path, capfd):
    mlflow.set_tracking_uri(admin.uri)
    client = MlflowClient()
    experiment, needed, facts = fill(client, tmp_path, "a")
    _, old, other = fill(client, tmp_path, "b")
    live = client.create_run(experiment).info.run_id
    client.create_registered_model("gc-encoder")
    client.create_model_version("gc-encoder", f"models:/{facts['model']}", needed, model_id=facts["model"])
    client.log_text(live, "x", "a.txt")
    by_path = client.create_run(experiment).info.run_id
    client.log_text(by_path, "x", "m/a.txt")
    client.create_model_version("gc-encoder", client.get_run(by_path).info.artifact_uri + "/m", by_path)
    client.delete_run(needed)
    client.delete_run(by_path)
    client.delete_experiment(client.get_run(old).info.experiment_id)
    native = ["--native", str(admin.folder)]
    assert main(["service", "gc", "--dry-run", *native]) == 0
    said = capfd.readouterr().out
    assert "1 runs, 1 models, 1 experiments would be freed" in said
    assert f"kept: run {needed}" in said
    assert client.get_run(old)
    assert main(["service", "gc", "--older-than", "1", *native]) == 0
    assert "0 runs" in capfd.readouterr().out
    assert main(["service", "gc", *native]) == 0
    with pytest.raises(mlflow.MlflowException):
        client.get_run(old)
    with pytest.raises(mlflow.MlflowException):
        client.get_logged_model(other["model"])
    assert contents("models:/gc-encoder/1", tmp_path / "m1").keys() == {"weights.bin", "empty", "deep/a b, c=ü.txt"}
    assert contents("models:/gc-encoder/2", tmp_path / "m2").keys() == {"a.txt"}
    assert client.get_run(needed).info.lifecycle_stage == "deleted"
    assert client.get_run(live)
    keys = list_keys(admin)
    assert not [key for key in keys if old in key or other["model"] in key]
    assert [key for key in keys if needed in key]


def list_keys(stack) -> list[str]:
    program = (
        "from derm_ml.service.settings import settings; from derm_ml.service.store import client, objects\n"
        "for each in objects(client(settings()), settings().bucket): print(each['Key'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=stack.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_an_older_schema_is_refused_then_upgraded_after_a_backup(admin, tmp_path):
    """The last migration is undone by hand; up refuses, upgrade backs up and migrates."""
    admin.stop(server_only=True)
    program = (
        "import os, sqlalchemy; from alembic import command\n"
        "from mlflow.store.db.utils import _get_alembic_config\n"
        "e = sqlalchemy.create_engine(os.environ['MLFLOW_BACKEND_STORE_URI']); k = _get_alembic_config(str(e.url))\n"
        "with e.begin() as b: k.attributes['connection'] = b; command.downgrade(k, '-1')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=admin.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1500:]
    with pytest.raises(UserError, match="derm-ml service upgrade"):
        admin.start()
    assert main(["service", "upgrade", str(tmp_path / "before"), "--native", str(admin.folder)]) == 0
    assert (tmp_path / "before" / "manifest.json").is_file()
    mlflow.set_tracking_uri(admin.uri)
    assert MlflowClient().search_experiments()
