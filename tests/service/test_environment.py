"""`.env` and docker-compose.yml: random passwords, never overwritten, none by default, nothing secret in a file."""

import json
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
    assert len(set(secrets[0] + secrets[1])) == 12
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
            if variable == "STUDIES_PASSWORD":
                assert value == "${STUDIES_PASSWORD:-}"  # none: no role is made
            elif re.search("PASSWORD|SECRET|ACCESS_KEY", variable):
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
        assert service["mem_limit"], name
        assert service["restart"] == ("no" if name == "prepare" else "unless-stopped"), name


def test_without_env_compose_refuses_in_one_line(tmp_path):
    if shutil.which("docker") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("docker compose is not installed")
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


def found_secrets(folder: Path, *names: str) -> list[str]:
    """Files in which detect-secrets sees a secret; a checksum of published weights is none."""
    command = [str(Path(sys.executable).parent / "detect-secrets"), "-C", str(folder), "scan", "--all-files", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [name for name in json.loads(done.stdout)["results"] if not name.endswith("models/pretrained.py")]


def test_no_secret_in_compose_file_and_what_images_are_made_of(tmp_path):
    names = [
        "docker-compose.yml",
        "docker",
        "kubernetes",
        "MLproject",
        "pyproject.toml",
        "README.md",
        "derm_ml",
        "entrypoints",
    ]
    assert found_secrets(ROOT, *names) == []
    planted = (ROOT / "docker-compose.yml").read_text().replace("POSTGRES_DB: mlflow", "X_PASSWORD: kx82hd0a9s")
    (tmp_path / "docker-compose.yml").write_text(planted)
    assert found_secrets(tmp_path, "docker-compose.yml") == ["docker-compose.yml"]
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


def test_kubernetes_files_fit_the_schemas():
    import kubernetes_validate

    version = kubernetes_validate.latest_version()
    files = [ROOT / "kubernetes" / name for name in ("job.yaml", "service.yaml")]
    objects = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    assert len(objects) == 10
    store = next(each for each in objects if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "s3")
    container = store["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == COMPOSE["services"]["s3"]["command"]
    assert f"-{container['image']}}}" in COMPOSE["services"]["s3"]["image"]
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(objects[0] | {"spec": {"template": 1}}, version, strict=True)


def test_the_commands_of_the_service_are_run():
    """README's and the guide's commands of the service, each with the test that runs it or one like it."""
    fetch = "docker compose exec -T tls cat /data/caddy/pki/authorities/local/root.crt > derm-ml-ca.crt"
    known = {
        "make env": "test_make_env_needs_nothing_installed",
        "docker compose up -d --wait": "test_stack.py: stack",
        fetch: "test_stack.py: test_tls",
        "docker compose build trainer": "conftest_docker.py: images",
        "mlflow run . -e pretrain -b cuda -P data=/data/lesions": "test_container.py: test_checks_before_a_run_exists",
        "mlflow run . -e pretrain -b cuda -P data=/data/lesions -P trials=50": "test_container.py: test_a_search",
        "mlflow run . -e pretrain -b cuda -P data=/data/lesions -P device=cpu": "test_container.py: test_three",
    }
    actions = "user add|user list|user remove|user password|backup|restore|upgrade|gc|up|down"
    pages = (ROOT / "README.md").read_text() + (ROOT / "docs" / "service.md").read_text()
    lines = [line for block in re.findall(r"```bash\n(.*?)```", pages, re.S) for line in block.splitlines()]
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    for line in lines:
        action = re.match(rf"derm-ml service ({actions})\b", line)
        if action:
            from derm_ml.cli.arguments import build_parser

            build_parser().parse_args(line.split()[1:])
            words = action.group(1).replace("user ", "").split()
            assert any(word in tests for word in words), line
        else:
            assert line in known or line.startswith(("export ", "#")), f"not tested: {line}"
    assert len(lines) > 8
