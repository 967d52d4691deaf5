"""A real stack for the tests: the project's images built here, PostgreSQL, an S3 store and MLflow in a real engine.

Each module has a stack of its own, with its own project name and ports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from conftest_service import free_ports, login
from dotenv import dotenv_values

from derm_ml.service.environment import write_environment
from derm_ml.service.stack import ComposeStack

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "tests" / "service" / "images"
STANDINS = {"POSTGRES_IMAGE": "postgres", "S3_IMAGE": "seaweedfs", "CADDY_IMAGE": "caddy"}
PROJECT = f"derm_ml_test_{os.getpid()}"


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def images() -> None:
    """The project's two images, and stand-ins for those that cannot be pulled everywhere."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        reason = "no container engine answers (DOCKER_HOST)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    for name in STANDINS.values():
        docker(
            "build", "--quiet", "--tag", f"derm-test-{name}", "--file", str(IMAGES / f"{name}.Dockerfile"), str(IMAGES)
        )
    environment = os.environ | dict.fromkeys(("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"), "x")
    environment |= {"MLFLOW_ADMIN_PASSWORD": "x", "MLFLOW_SECRET_KEY": "x"}
    command = ["docker", "compose", "--project-directory", str(ROOT), "build", "mlflow", "trainer"]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]


@pytest.fixture(scope="module")
def stack(images, request: pytest.FixtureRequest) -> Iterator[ComposeStack]:
    """The stack as docker-compose.yml has it, with TLS, taken down with its volumes afterwards.

    A module with STUDIES publishes the database to searches as well.
    """
    folder = Path(tempfile.mkdtemp(prefix="derm-ml-", dir="/var/tmp"))
    shutil.copy(ROOT / "docker-compose.yml", folder)
    (folder / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "Caddyfile", folder / "docker")
    write_environment(folder / ".env")
    ports = free_ports(3)
    lines = [f"{name}=derm-test-{image}" for name, image in STANDINS.items()]
    if getattr(request.module, "STUDIES", False):
        shutil.copy(ROOT / "docker-compose.studies.yml", folder)
        lines += [f"STUDIES_PORT={ports[2]}", "COMPOSE_FILE=docker-compose.yml:docker-compose.studies.yml"]
    lines += [
        f"MLFLOW_PORT={ports[0]}",
        f"TLS_PORT={ports[1]}",
        "TLS_BIND=127.0.0.1",
        "TLS_HOST=lesions.example",
        "COMPOSE_PROFILES=s3,tls",
    ]
    lines += [f"COMPOSE_PROJECT_NAME={PROJECT}", "MLFLOW_ALLOWED_HOSTS=localhost:*,127.0.0.1:*"]
    with (folder / ".env").open("a") as file:
        file.write("\n".join(lines) + "\n")
    made = ComposeStack(folder)
    try:
        made.start()
        yield made
    finally:
        docker("compose", "--project-directory", str(folder), "down", "--volumes", "--timeout", "20", check=False)
        shutil.rmtree(folder)


@pytest.fixture
def service(stack: ComposeStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """The service's address, with a login in the environment."""
    own = dotenv_values(stack.folder / ".env")
    uri = f"http://127.0.0.1:{own['MLFLOW_PORT']}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    login(monkeypatch, "admin", str(own["MLFLOW_ADMIN_PASSWORD"]))
    mlflow.set_tracking_uri(uri)
    return uri
