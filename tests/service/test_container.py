"""`mlflow run` in the trainer's container, in a real engine, against a real service."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import pytest
from conftest_docker import ROOT, docker
from dotenv import dotenv_values
from mlflow import MlflowClient

pytestmark = [pytest.mark.docker, pytest.mark.slow]
STUDIES = True  # this module's stack publishes the database to searches
SMALL = {"data": "synthetic:n=120", "epochs": "1", "device": "cpu"}


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
        done = mlflow_run("compare", *here, "-P", encoder, "-P", "protocols=identical", cwd=tmp_path, **folders)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "report: " in done.stdout
        compared = next(each for each in runs() if each.data.tags.get("mlflow.project.entryPoint") == "compare")
        assert "report" in {each.path for each in client.list_artifacts(compared.info.run_id)}
        assert not docker("ps", "--all", "--filter", "name=derm-ml-", "--format", "{{.Names}}")
    finally:
        shutil.rmtree(data)


def test_a_search_in_containers_with_its_study_in_the_service(stack, service, tmp_path):
    """As docs/service.md says: two machines' containers, one study, the password on no command line."""
    own = dotenv_values(stack.folder / ".env")
    shared = {"DERM_ML_STUDIES": f"postgresql://studies@127.0.0.1:{own['STUDIES_PORT']}/mlflow"}
    shared |= {"PGPASSWORD": str(own["STUDIES_PASSWORD"]), "DERM_ML_CACHE": str(tmp_path / "cache")}
    quick = {"image_size": "32", "backbone": "test_efficientnet", "latent_dim": "8", "trials": "6", "study": "both"}
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "--experiment-name", "docker"]
    command += [*parameters(**quick), "-b", "cuda"]
    machines = []
    for name in ("one", "two"):
        environment = os.environ | shared | {"DERM_ML_RUNS": str(tmp_path / name)}
        machines.append(
            subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
    said = [process.communicate(timeout=400) for process in machines]
    assert [process.returncode for process in machines] == [0, 0], said
    assert all(b"6 of 6 trials" in out for out, _ in said)
    searches = [run for run in runs() if run.data.tags.get("search.study") == "both"]
    trials = [run for run in searches if run.info.run_name.startswith("trial-")]
    assert len(trials) == 6
    assert {run.info.status for run in searches} == {"FINISHED"}
    assert len({run.data.tags["mlflow.parentRunId"] for run in trials}) == 1
    assert len({run.data.tags["search.worker"] for run in trials}) == 2
    assert not list(tmp_path.rglob("studies.db"))


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
        (["-P", "device=cpu", "-P", "extra=gone"], {}, "extra=gone: there is nothing at this path"),
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


def test_ctrl_c_ends_killed_and_another_container_goes_on(service, tmp_path):
    """The checkpoint outlives its container: `resume` goes on in the same run, and no step is logged twice."""
    known = {run.info.run_id for run in runs()}
    words = parameters(data="synthetic:n=200", epochs="30")
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "-b", "cuda", *words]
    command += ["--experiment-name", "docker"]
    environment = os.environ | {"DERM_ML_RUNS": str(tmp_path / "checkpoints")}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (new := [run for run in runs() if run.info.run_id not in known and "train/loss" in run.data.metrics]):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    run = new[0].info.run_id
    assert MlflowClient().get_run(run).info.status == "KILLED"
    logged = len(MlflowClient().get_metric_history(run, "train/loss"))
    assert 0 < logged < 30
    done = mlflow_run(
        "pretrain",
        *words,
        "-b",
        "cuda",
        "-P",
        f"resume={run}",
        cwd=tmp_path,
        DERM_ML_RUNS=str(tmp_path / "checkpoints"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert MlflowClient().get_run(run).info.status == "FINISHED"
    steps = [row.step for row in MlflowClient().get_metric_history(run, "train/loss")]
    assert steps == sorted(set(steps))
    assert len(steps) == 30
    assert MlflowClient().search_model_versions(f"run_id='{run}'")
