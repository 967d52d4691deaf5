"""`.env` and docker-compose.yml: random passwords, never overwritten, none by default, nothing secret in a file."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from derm_ml.service.environment import TEMPLATE, write_environment

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_env_is_written_once_with_other_passwords_each_time(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    assert write_environment(first)
    assert write_environment(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    secrets = [re.findall(r"^(?:\w+_(?:PASSWORD|KEY))=(.+)$", path.read_text(), re.M) for path in (first, second)]
    assert len(set(secrets[0] + secrets[1])) == 10
    assert min(map(len, secrets[0])) >= 20
    before = first.read_text()
    assert not write_environment(first)
    assert first.read_text() == before


def test_make_env_needs_nothing_installed(tmp_path):
    command = [sys.executable, "-I", "-S", str(ROOT / "derm_ml/service/environment.py"), str(tmp_path / ".env")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "written, mode 600" in done.stdout


def test_every_password_must_come_from_env():
    for name, service in COMPOSE["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY", variable):
                assert re.fullmatch(r"\$\{\w+:\?no \.env yet, run \"make env\" first\}", value), (name, variable)


def test_only_mlflow_and_tls_are_published_and_on_loopback():
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert set(published) == {"mlflow", "tls"}
    assert published["mlflow"] == ["${MLFLOW_BIND:-127.0.0.1}:${MLFLOW_PORT:-5000}:5000"]
    assert "MLFLOW_BIND=127.0.0.1" in TEMPLATE


def test_every_server_is_confined():
    for name, service in COMPOSE["services"].items():
        if name == "trainer":
            continue
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert re.match(r"\$\{\w+_IMAGE:-.+:.+\}", service["image"]), f"{name}: pinned, and a variable"
        if name != "prepare":
            assert service["restart"] == "unless-stopped", name
            assert service["mem_limit"], name


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker compose is not installed")
def test_without_env_compose_refuses_in_one_line(tmp_path):
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
    command = ["docker", "compose", "--project-directory", str(tmp_path), "up", "-d"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert 'run "make env" first' in done.stderr
    write_environment(tmp_path / ".env")
    command = ["docker", "compose", "--project-directory", str(tmp_path), "config", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_no_secret_in_images_or_compose_file():
    for path in [ROOT / "docker-compose.yml", ROOT / ".dockerignore", *(ROOT / "docker").rglob("*")]:
        if path.is_file() and path.name != "constraints.txt":
            text = path.read_text()
            assert not re.search(r"(?i)(password|secret|token)\w*\s*[:=]\s*['\"]?[A-Za-z0-9_-]{12,}", text), path
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!") and ".env" in line]


def test_images_install_what_pyproject_lists():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "docker/constraints.txt").read_text().split()
    locked = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    for row in [*project["dependencies"], *project["optional-dependencies"]["server"]]:
        need = Requirement(row)
        assert need.specifier.contains(locked[canonicalize_name(need.name)]), row
    for name in ("mlflow", "trainer"):
        text = (ROOT / "docker" / name / "Dockerfile").read_text()
        assert "docker/requirements.py" in text
        assert re.search(r"^USER \d+$", text, re.M)
