"""docker compose, in a real engine: health, confinement, secrets, backup, faults, another store."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import pytest
import requests
from conftest_docker import PROJECT, ROOT, STANDINS, docker
from conftest_service import free_ports
from dotenv import dotenv_values
from mlflow import MlflowClient
from test_environment import found_secrets

from derm_ml.cli import main
from derm_ml.errors import UserError
from derm_ml.service.environment import write_environment
from derm_ml.service.stack import ComposeStack
from derm_ml.tracking.server import check_login, check_server

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def test_the_stack_is_healthy_and_confined(stack, service):
    assert requests.get(service + "/health", timeout=10).json() == {"database": "ok", "store": "ok"}
    assert requests.get(service + "/", timeout=10).status_code == 401
    names = docker("ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}} {{.Ports}}")
    assert len(names.splitlines()) == 4
    for line in names.splitlines():
        published = re.findall(r"(\S+):\d+->", line)
        assert set(published) <= {"127.0.0.1"}, line
        assert bool(published) == ("mlflow" in line.split()[0] or "tls" in line.split()[0]), line


def test_tls(stack, service, tmp_path, monkeypatch):
    """As docs/service.md says: the authority's file, and MLflow's client, by the name that is in the certificate."""
    own = dotenv_values(stack.folder / ".env")
    uri, resolve = f"https://lesions.example:{own['TLS_PORT']}", socket.getaddrinfo
    here = {"lesions.example": "127.0.0.1"}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve(here.get(host, host), *rest, **more))
    with pytest.raises(UserError, match="certificate that is not trusted here: set MLFLOW_TRACKING_SERVER_CERT_PATH"):
        check_server(uri)
    authority = tmp_path / "derm-ml-ca.crt"
    compose = ["compose", "--project-directory", str(stack.folder)]
    authority.write_text(docker(*compose, "exec", "-T", "tls", "cat", "/data/caddy/pki/authorities/local/root.crt"))
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority))
    check_server(uri)
    check_login(uri)
    assert MlflowClient(uri).search_experiments()
    login = ("admin", str(own["MLFLOW_ADMIN_PASSWORD"]))
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    for host, status in (("lesions.example", 200), ("other.example", 403)):
        assert requests.get(service + path, auth=login, headers={"Host": host}, timeout=10).status_code == status, host


def test_no_secret_in_layers_or_logs(stack, tmp_path):
    own = dotenv_values(stack.folder / ".env")
    # the store's access key is a name, which it logs; the key that signs is the secret one
    secrets = [value for key, value in own.items() if value and re.search("PASSWORD|SECRET", key)]
    assert len(secrets) == 5
    text = docker("compose", "--project-directory", str(stack.folder), "logs", "--no-color")
    for image in ("derm-ml-mlflow:0.1.0", "derm-ml-trainer:0.1.0"):
        text += docker("history", "--no-trunc", image) + docker("inspect", image)
        container = docker("create", image)
        docker("cp", f"{container}:/opt/derm_ml", str(tmp_path / image))
        docker("rm", container)
        assert len(list((tmp_path / image).rglob("*.py"))) > 30
        assert [*(tmp_path / image).rglob(".env*"), *(tmp_path / image).rglob("*.db*")] == []
    assert found_secrets(tmp_path, "derm-ml-mlflow:0.1.0", "derm-ml-trainer:0.1.0") == []
    assert not [secret for secret in secrets if secret in text]
    for name in ("mlflow", "s3", "postgres"):
        assert not [s for s in secrets if s in docker("top", f"{PROJECT}-{name}-1", "-eo", "pid,args")], name


def test_the_images_hold_what_the_lock_says(images):
    locked = {line.lower() for line in (ROOT / "docker/constraints.txt").read_text().split()}
    for image in ("derm-ml-mlflow:0.1.0", "derm-ml-trainer:0.1.0"):
        command = ["run", "--rm", "--entrypoint", "python", image, "-m", "pip"]
        rows = docker(*command, "list", "--format", "freeze", "--exclude-editable").lower().split()
        assert [row for row in rows if row not in locked and not row.startswith(("pip==", "derm-ml=="))] == []
        assert docker("run", "--rm", "--entrypoint", "id", image, "-u") != "0"
    check = docker("run", "--rm", "--entrypoint", "python", "derm-ml-trainer:0.1.0", "-m", "pip", "check")
    assert check == "No broken requirements found."


def test_artifacts_of_any_size_from_outside(service, tmp_path):
    """600 MB, beyond the size at which MLflow's clients turn to the store itself."""
    big = tmp_path / "big.bin"
    block = os.urandom(2**20)
    with big.open("wb") as file:
        for _ in range(600):
            file.write(block)
    run = MlflowClient().create_run("0").info.run_id
    started = time.monotonic()
    MlflowClient().log_artifact(run, str(big))
    local = Path(MlflowClient().download_artifacts(run, "big.bin", str(tmp_path)))
    assert local.stat().st_size == 600 * 2**20
    assert time.monotonic() - started < 120


def test_lost_volumes_come_back(stack, service, tmp_path):
    """Backup while in use, `down --volumes`, restore: the registered encoder is there, byte for byte."""
    client = MlflowClient()
    run = client.create_run("0").info.run_id
    for step in range(20):
        client.log_metric(run, "gap/loss", 0.1 * step, step=step)
    content = os.urandom(3 * 2**20)
    (tmp_path / "encoder.safetensors").write_bytes(content)
    client.log_artifact(run, str(tmp_path / "encoder.safetensors"))
    before = {each.info.run_id: each.data.metrics for each in client.search_runs(["0"])}
    project = ["--project", str(stack.folder)]
    assert main(["service", "backup", str(tmp_path / "saved"), *project]) == 0
    docker("compose", "--project-directory", str(stack.folder), "down", "--volumes", "--timeout", "20")
    assert main(["service", "restore", str(tmp_path / "saved"), *project]) == 0
    assert {each.info.run_id: each.data.metrics for each in client.search_runs(["0"])} == before
    assert [row.value for row in client.get_metric_history(run, "gap/loss")] == [0.1 * step for step in range(20)]
    local = Path(client.download_artifacts(run, "encoder.safetensors", str(tmp_path / "saved")))
    assert local.read_bytes() == content


def test_killed_servers_come_back_with_every_acknowledged_write(stack, service):
    """SIGKILL under eight clients: Compose starts the server again, and what was acknowledged is there."""
    command = [sys.executable, str(ROOT / "benchmarks/service_faults.py"), "--project", str(stack.folder)]
    done = subprocess.run([*command, "--clients", "8", "--seconds", "12"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    rows = re.findall(
        r"(\w+) +killed .* healthy again after ([\d.]+) s.* (\d+) batches and (\d+) files.* 0 missing", done.stdout
    )
    assert [row[0] for row in rows] == ["postgres", "s3", "mlflow"], done.stdout
    assert all(float(away) > 0.2 and int(batches) > 20 and int(files) > 5 for _, away, batches, files in rows), (
        done.stdout
    )


def test_another_s3_store(images, stack, service, tmp_path, monkeypatch):
    """A store outside Compose by environment variables: the local one is not started, and backups work the same."""
    folder = Path(tempfile.mkdtemp(prefix="derm-ml-", dir="/var/tmp"))
    shutil.copy(ROOT / "docker-compose.yml", folder)
    write_environment(folder / ".env")
    own = dotenv_values(folder / ".env")
    ports = free_ports(2)
    docker("network", "create", "derm-elsewhere")
    gateway = docker("network", "inspect", "derm-elsewhere", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    lines = [f"{name}=derm-test-{image}" for name, image in STANDINS.items()]
    lines += [f"MLFLOW_PORT={ports[0]}", "COMPOSE_PROFILES=", "COMPOSE_PROJECT_NAME=derm_ml_elsewhere"]
    lines += [f"S3_ENDPOINT_URL=http://{gateway}:{ports[1]}", "S3_BUCKET=our-lab", "S3_REGION=eu-central-1"]
    with (folder / ".env").open("a") as file:
        file.write("\n".join(lines) + "\n")
    keys = ["-e", f"AWS_ACCESS_KEY_ID={own['S3_ACCESS_KEY']}", "-e", f"AWS_SECRET_ACCESS_KEY={own['S3_SECRET_KEY']}"]
    words = ["weed", "server", "-dir=/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.ip.bind=0.0.0.0"]
    published = [
        "--publish",
        f"{gateway}:{ports[1]}:8333",
        "--network",
        "derm-elsewhere",
        "--name",
        "derm-elsewhere-store",
    ]
    docker("run", "--detach", *published, *keys, "derm-test-seaweedfs", *words)
    elsewhere = ComposeStack(folder)
    project = ["--project", str(folder)]
    try:
        elsewhere.start()
        assert docker("compose", "--project-directory", str(folder), "ps", "--services").split() == [
            "mlflow",
            "postgres",
        ]
        uri = f"http://127.0.0.1:{ports[0]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", str(own["MLFLOW_ADMIN_PASSWORD"]))
        mlflow.set_tracking_uri(uri)
        run = MlflowClient().create_run("0").info.run_id
        MlflowClient().log_text(run, "kept elsewhere", "a.txt")
        assert mlflow.artifacts.load_text(f"runs:/{run}/a.txt") == "kept elsewhere"
        listed = docker(
            "exec", "derm-elsewhere-store", "sh", "-c", "echo fs.ls /buckets | weed shell -master=127.0.0.1:9333"
        )
        assert "our-lab" in listed
        assert main(["service", "backup", str(tmp_path / "saved"), *project]) == 0
        assert main(["service", "restore", str(tmp_path / "saved"), "--replace", *project]) == 0
        assert mlflow.artifacts.load_text(f"runs:/{run}/a.txt") == "kept elsewhere"
    finally:
        docker("compose", "--project-directory", str(folder), "down", "--volumes", "--timeout", "20", check=False)
        docker("rm", "--force", "derm-elsewhere-store", check=False)
        docker("network", "rm", "derm-elsewhere", check=False)
        shutil.rmtree(folder)
