"""docker compose and `mlflow run`, in a real engine: images built here, PostgreSQL, an S3 store and MLflow for real."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from conftest_service import free_ports, login
from dotenv import dotenv_values
from mlflow import MlflowClient

from derm_ml.cli import main
from derm_ml.service.environment import write_environment
from derm_ml.service.stack import ComposeStack

pytestmark = [pytest.mark.docker, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "tests" / "service" / "images"
STANDINS = {"POSTGRES_IMAGE": "postgres", "S3_IMAGE": "seaweedfs", "CADDY_IMAGE": "caddy"}
PROJECT = "derm_ml_test"
SMALL = {"data": "synthetic:n=120", "epochs": "1", "device": "cpu"}


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
def stack(images) -> Iterator[ComposeStack]:
    """The stack as docker-compose.yml has it, with TLS, taken down with its volumes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="derm-ml-", dir="/var/tmp"))
    shutil.copy(ROOT / "docker-compose.yml", folder)
    (folder / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "Caddyfile", folder / "docker")
    write_environment(folder / ".env")
    ports = free_ports(2)
    lines = [f"{name}=derm-test-{image}" for name, image in STANDINS.items()]
    lines += [f"MLFLOW_PORT={ports[0]}", f"TLS_PORT={ports[1]}", "TLS_BIND=127.0.0.1", "COMPOSE_PROFILES=s3,tls"]
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


def mlflow_run(entry: str, *words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", entry, "--experiment-name", "docker", *words]
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)


def parameters(**values: str) -> list[str]:
    return [word for key, value in {**SMALL, **values}.items() for word in ("-P", f"{key}={value}")]


def runs() -> list[mlflow.entities.Run]:
    experiment = MlflowClient().get_experiment_by_name("docker")
    return list(MlflowClient().search_runs([experiment.experiment_id])) if experiment else []


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or [""])[-1]


def test_the_stack_is_healthy_and_confined(stack, service):
    assert requests.get(service + "/health", timeout=10).json() == {"database": "ok", "store": "ok"}
    assert requests.get(service + "/", timeout=10).status_code == 401
    names = docker("ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}} {{.Ports}}")
    assert len(names.splitlines()) == 4
    for line in names.splitlines():
        published = re.findall(r"(\S+):\d+->", line)
        assert set(published) <= {"127.0.0.1"}, line
        assert bool(published) == ("mlflow" in line.split()[0] or "tls" in line.split()[0]), line


def test_tls(stack, tmp_path):
    docker("cp", f"{PROJECT}-tls-1:/data/caddy/pki/authorities/local/root.crt", str(tmp_path))
    port = dotenv_values(stack.folder / ".env")["TLS_PORT"]
    asked = requests.get(f"https://localhost:{port}/health", verify=str(tmp_path / "root.crt"), timeout=10)
    assert asked.json() == {"database": "ok", "store": "ok"}


def test_no_secret_in_layers_or_logs(stack):
    own = dotenv_values(stack.folder / ".env")
    # the store's access key is a name, which it logs; the key that signs is the secret one
    secrets = [value for key, value in own.items() if value and re.search("PASSWORD|SECRET", key)]
    assert len(secrets) == 4
    text = docker("compose", "--project-directory", str(stack.folder), "logs", "--no-color")
    for image in ("derm-ml-mlflow:0.1.0", "derm-ml-trainer:0.1.0"):
        text += docker("history", "--no-trunc", image) + docker("inspect", image)
        listed = docker(
            "run", "--rm", "--entrypoint", "find", image, "/opt/derm_ml", "-name", ".env*", "-o", "-name", "*.db"
        )
        assert listed == ""
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


def test_three_entry_points_in_the_container(service, tmp_path):
    """Everything arrives; files belong to the caller; caches outlive the container; data is read-only."""
    folders = {f"DERM_ML_{name.upper()}": str(tmp_path / name) for name in ("cache", "runs", "reports")}
    tmp_path.parent.chmod(0o755)
    data = Path(tempfile.mkdtemp(prefix="derm ml, data:", dir="/var/tmp"))
    try:
        write_images(data)
        caller = ["-A", "user=1234:1234", "-A", "shm-size=1g"]
        for folder in folders.values():
            Path(folder).mkdir()
            Path(folder).chmod(0o777)
        open_way(tmp_path)
        data.chmod(0o755)
        here = [*parameters(data=str(data)), "-b", "cuda", *caller]
        done = mlflow_run("pretrain", *here, cwd=tmp_path, **folders)
        assert done.returncode == 0, done.stderr[-3000:]
        run = runs()[0]
        client = MlflowClient()
        assert run.info.status == "FINISHED"
        assert run.data.params["data"].strip("'") == str(data)
        assert run.data.tags["data.location"] == str(data)
        assert "val/elbo" in run.data.metrics
        assert {"figures", "data"} <= {each.path for each in client.list_artifacts(run.info.run_id)}
        version = client.search_model_versions(f"run_id='{run.info.run_id}'")[0]
        written = [path for name in folders.values() for path in Path(name).rglob("*")]
        assert len(written) > 3
        assert {path.stat().st_uid for path in written} == {1234}
        assert sorted(path.name for path in data.iterdir()) == ["a", "b"]
        encoder = f"encoder=models:/derm-encoder/{version.version}"
        assert mlflow_run("finetune", *here, "-P", encoder, cwd=tmp_path, **folders).returncode == 0
        done = mlflow_run("compare", *here, "-P", encoder, "-P", "seeds=2", cwd=tmp_path, **folders)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "report: " in done.stdout
        compared = next(each for each in runs() if each.data.tags.get("mlflow.project.entryPoint") == "compare")
        assert "report" in {each.path for each in client.list_artifacts(compared.info.run_id)}
        assert not docker("ps", "--all", "--filter", "name=derm-ml-", "--format", "{{.Names}}")
    finally:
        shutil.rmtree(data)


def open_way(folder: Path) -> None:
    """Let another user pass through pytest's own folders."""
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)


def write_images(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for name, base in (("a", 60), ("b", 160)):
        (folder / name).mkdir()
        for index in range(40):
            pixels = generator.normal(base, 40, (48, 48, 3)).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


def test_plain_mlflow_run(service, tmp_path):
    """Without the backend: the image's own code, with the login from a file."""
    secrets = tmp_path / "login.env"
    secrets.touch(mode=0o600)
    secrets.write_text(
        "".join(f"{key}={os.environ[key]}\n" for key in os.environ if key.startswith("MLFLOW_TRACKING_"))
    )
    done = mlflow_run("pretrain", *parameters(), "-A", "network=host", "-A", f"env-file={secrets}", cwd=tmp_path)
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    inside = docker("run", "--rm", "derm-ml-trainer:0.1.0", "cat", "/opt/derm_ml/COMMIT")
    assert inside == head.stdout.strip()
    assert done.returncode == 0, done.stderr[-3000:]
    assert runs()[0].info.status == "FINISHED"


@pytest.mark.parametrize(
    ("words", "environment", "reason"),
    [
        ([], {}, "on the processor with -P device=cpu"),
        (["-P", "device=cpu", "-P", "data=/nowhere/at/all"], {}, "data=/nowhere/at/all: there is nothing at this path"),
        (["-P", "device=cpu"], {"DOCKER_HOST": "unix:///nowhere.sock"}, "the container engine does not answer"),
        (["-P", "device=cpu"], {"MLFLOW_TRACKING_PASSWORD": "wrong"}, "refuses the login"),
        (["-P", "device=cpu"], {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_checks_before_a_run_exists(service, tmp_path, words, environment, reason):
    MlflowClient().get_experiment_by_name("docker") or MlflowClient().create_experiment("docker")
    before = len(runs())
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "-b", "cuda", *words]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2, done.stderr[-2000:]
    assert reason in last_line(done)
    assert "Traceback" not in done.stderr
    assert len(runs()) == before


def test_an_image_that_is_not_there(service, tmp_path):
    from derm_ml.errors import UserError
    from derm_ml.tracking import preflight

    with pytest.raises(UserError, match=r"is not on this machine: docker compose build trainer"):
        preflight.check_image("derm-ml-trainer:none", ROOT)
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "constraints.txt").write_text("torch==0\n")
    with pytest.raises(UserError, match="was built with other packages"):
        preflight.check_image("derm-ml-trainer:0.1.0", tmp_path)


def test_bad_input_and_out_of_memory_end_failed(service, tmp_path):
    done = mlflow_run("pretrain", *parameters(lr="-1"), "-b", "cuda", cwd=tmp_path)
    assert done.returncode == 2
    assert (runs()[0].info.status, "lr" in runs()[0].data.tags["error"]) == ("FAILED", True)
    limits = ["-A", "memory=200m", "-A", "memory-swap=200m"]
    done = mlflow_run("pretrain", *parameters(), "-b", "cuda", *limits, cwd=tmp_path)
    assert done.returncode == 137
    assert runs()[0].info.status == "FAILED"
    assert "out of memory" in runs()[0].data.tags["error"]
    assert not docker("ps", "--all", "--filter", "name=derm-ml-", "--format", "{{.Names}}")


def test_ctrl_c_ends_killed(service, tmp_path):
    known = {run.info.run_id for run in runs()}
    words = parameters(epochs="500")
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "-b", "cuda", *words]
    command += ["--experiment-name", "docker"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (new := [run for run in runs() if run.info.run_id not in known and "train/loss" in run.data.metrics]):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert MlflowClient().get_run(new[0].info.run_id).info.status == "KILLED"


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
    content = os.urandom(3 * 2**20)
    (tmp_path / "encoder.safetensors").write_bytes(content)
    client.log_artifact(run, str(tmp_path / "encoder.safetensors"))
    before = {each.info.run_id: each.data.metrics for each in runs()}
    project = ["--project", str(stack.folder)]
    assert main(["service", "backup", str(tmp_path / "saved"), *project]) == 0
    docker("compose", "--project-directory", str(stack.folder), "down", "--volumes", "--timeout", "20")
    assert main(["service", "restore", str(tmp_path / "saved"), *project]) == 0
    assert {each.info.run_id: each.data.metrics for each in runs()} == before
    local = Path(client.download_artifacts(run, "encoder.safetensors", str(tmp_path / "saved")))
    assert local.read_bytes() == content


@pytest.mark.parametrize("name", ["postgres", "s3", "mlflow"])
def test_a_killed_server_comes_back_with_every_acknowledged_write(service, name):
    """SIGKILL in the middle of writing: Compose starts it again, and what was acknowledged is there."""
    client = MlflowClient()
    run = client.create_run("0").info.run_id
    client.log_text(run, "before", "before.txt")
    for step in range(50):
        client.log_metric(run, "m", float(step), step=step)
        if step == 25:
            pid = int(docker("inspect", "--format", "{{.State.Pid}}", f"{PROJECT}-{name}-1"))
            os.kill(pid, signal.SIGKILL)
    client.log_text(run, "after", "after.txt")
    assert [row.step for row in client.get_metric_history(run, "m")] == list(range(50))
    assert mlflow.artifacts.load_text(f"runs:/{run}/before.txt") == "before"
    assert mlflow.artifacts.load_text(f"runs:/{run}/after.txt") == "after"
