"""Ablations by several processes: what one makes, whoever is killed, and no nested run twice."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from filelock import FileLock

from derm_ml.config import AblateConfig
from derm_ml.errors import UserError
from derm_ml.pipelines import ablate, planned_arm
from derm_ml.report.ablation import write_ablation
from derm_ml.tracking.base import NullTracker, RecordingTracker
from derm_ml.tracking.runs import connect
from derm_ml.training.trainer import NonFiniteLoss

PLAN = """
[common]
epochs = 2
backbone = "test_efficientnet"
latent_dim = 4
batch_size = 32
kl_warmup = 1
invariance = "none"

[arms.plain]
[arms.noisy]
noise = 0.1
[arms.pixels]
encoder = "pixels"
[arms.plain-last]
features = "last"
"""
NAMES = ["noisy-split0", "pixels-split0", "plain-last-split0", "plain-split0"]
SMALL = {"data": "synthetic:n=90,size=40,seed=1", "image_size": 32, "epochs": 2, "seeds": 2, "protocols": "identical"}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN)
    return AblateConfig(**SMALL, plan=str(tmp_path / "plan.toml"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process makes of the plan, on one thread as the workers below: its table of runs."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "plan.toml").write_text(PLAN)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ablation = ablate.run(AblateConfig(**SMALL, plan=str(folder / "plan.toml")), NullTracker(), folder / "run")
    finally:
        torch.set_num_threads(threads)
    write_ablation(ablation, folder / "report")
    return (folder / "report" / "runs.csv").read_text()


@pytest.fixture
def started(database, tmp_path, monkeypatch):
    """Starts the command line on the plan."""
    given = {"DERM_ML_RUNS": tmp_path / "runs", "DERM_ML_REPORTS": tmp_path / "reports", "OMP_NUM_THREADS": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    connect().create_experiment("e")  # made from here, so that artifacts go beside the test's database

    def start(*words, plan=PLAN):
        (tmp_path / "plan.toml").write_text(plan)
        own = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        command = [sys.executable, "-m", "derm_ml", "ablate", "plan.toml", *own, "--experiment", "e", *words]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def ended(process, code=0):
    """What it said on stderr."""
    _, said = process.communicate(timeout=500)
    assert process.returncode == code, said
    return said


def runs_of(client):
    """The ablation's run, and those nested in it by name, each there once."""
    found = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    (parent,) = [run for run in found if run.info.run_name == "ablate"]
    nested = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(found) == len(nested) + 1
    names = [run.info.run_name for run in nested]
    assert len(set(names)) == len(names)
    return parent, {run.info.run_name: run for run in nested}


def all_finished(client):
    parent, nested = runs_of(client)
    assert sorted(nested) == NAMES
    assert {run.info.status for run in (parent, *nested.values())} == {"FINISHED"}
    return parent, nested


def wait_for(process, ready):
    deadline = time.monotonic() + 300
    while not (found := ready()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def workers_of(process):
    return [each for each in psutil.Process(process.pid).children() if "--workers=1" in each.cmdline()]


@pytest.mark.slow
def test_two_workers_give_what_one_process_does(started, alone, tmp_path):
    ended(started("--workers", "2"))
    client = connect()
    parent, nested = all_finished(client)
    report = tmp_path / "reports" / parent.info.run_id
    assert (report / "runs.csv").read_text() == alone
    folder = tmp_path / "runs" / parent.info.run_id
    logs = {path: path.read_text() for path in folder.glob("worker-*.log")}
    assert len(logs) == 2
    assert parent.data.tags["ablate.workers"] == "2"
    steps = [row.step for row in client.get_metric_history(nested["noisy-split0"].info.run_id, "val/elbo")]
    assert steps == [1, 2]

    # told on test images, and by another number of workers: nothing is opened again
    said = ended(started("--workers", "3", "--images", "test", "--resume", parent.info.run_id))
    assert "worker" not in said
    parent, again = all_finished(client)
    assert {name: run.info.end_time for name, run in again.items()} == {
        name: run.info.end_time for name, run in nested.items()
    }
    assert parent.data.tags["ablate.workers"] == "3"
    assert logs == {path: path.read_text() for path in folder.glob("worker-*.log")}
    assert "measured on test images" in (report / "ablation.md").read_text()


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(started, alone, tmp_path):
    process = started("--workers", "2")
    wait_for(process, lambda: list(tmp_path.glob("runs/*/*/last.safetensors")))
    workers_of(process)[0].kill()
    said = ended(process)
    assert "worker 0 ended with -9" in said
    parent, _ = all_finished(connect())
    assert (tmp_path / "reports" / parent.info.run_id / "runs.csv").read_text() == alone


@pytest.mark.slow
def test_an_interrupt_reaches_the_workers_and_another_number_goes_on(started, tmp_path):
    plan = PLAN.replace("epochs = 2", "epochs = 8")
    process = started("--workers", "2", plan=plan)
    wait_for(process, lambda: list(tmp_path.glob("runs/*/*/last.safetensors")))
    running = workers_of(process)
    assert len(running) == 2
    process.send_signal(signal.SIGINT)
    said = ended(process, code=130)
    assert not any(each.is_running() for each in running)
    parent, nested = runs_of(connect())
    assert f"--resume {parent.info.run_id}" in said
    assert {run.info.status for run in (parent, *nested.values())} <= {"KILLED", "FINISHED"}
    assert "KILLED" in {run.info.status for run in nested.values()}
    ended(started("--workers", "1", "--resume", parent.info.run_id, plan=plan))
    _, nested = all_finished(connect())
    for name in ("plain-split0", "noisy-split0"):
        steps = [row.step for row in connect().get_metric_history(nested[name].info.run_id, "val/elbo")]
        assert steps == list(range(1, 9))


@pytest.fixture
def opened(config, tmp_path):
    """An ablation whose identity is written, as a parent leaves it to its workers; all of its arms."""
    settings = ablate._settings(config, NullTracker())
    arms = ablate._arms(config, ablate.read_plan(config), settings, tmp_path / "run")
    return replace(config, resume="recording"), tmp_path / "run", {arm.name: arm for arm in arms}


def test_a_unit_is_one_workers_and_those_that_differ_in_features_are_one(opened):
    config, folder, arms = opened
    tracker = RecordingTracker()
    (folder / "locks").mkdir()
    with FileLock(folder / "locks" / "plain-split0.lock"):
        ablate.work(config, tracker, folder)
    assert [child.run_id.split("/")[1] for child in tracker.children] == ["noisy-split0", "pixels-split0"]
    assert [name for name, arm in arms.items() if arm.finished] == ["noisy-split0", "pixels-split0"]
    assert not any(kind in ("params", "dataset", "file", "tags") for kind, _ in tracker.calls)
    ablate.work(config, tracker, folder)
    assert [child.run_id.split("/")[1] for child in tracker.children[2:]] == ["plain-split0", "plain-last-split0"]
    assert all(arm.finished for arm in arms.values())


def test_an_error_ends_one_worker_and_the_others_leave_that_arm_alone(opened, monkeypatch):
    config, folder, arms = opened
    train = planned_arm.train

    def diverges(own, *args, **given):
        if own.noise:
            raise NonFiniteLoss("non-finite loss at step 3")
        return train(own, *args, **given)

    monkeypatch.setattr(planned_arm, "train", diverges)
    with pytest.raises(NonFiniteLoss):
        ablate.work(config, NullTracker(), folder)
    ablate.work(config, NullTracker(), folder)
    assert [name for name, arm in arms.items() if not arm.finished] == ["noisy-split0"]
    with pytest.raises(NonFiniteLoss, match="at step 3"):  # as one process says it
        ablate.run(config, NullTracker(), folder)
    monkeypatch.undo()
    assert len(ablate.run(config, NullTracker(), folder).comparison.runs) == 4 * 2


def test_a_worker_whose_parent_has_gone_stops(opened, monkeypatch):
    config, folder, arms = opened

    def gone():
        raise KeyboardInterrupt

    monkeypatch.setattr(ablate, "parent_watch", lambda: gone)
    with pytest.raises(KeyboardInterrupt):
        ablate.work(config, NullTracker(), folder)
    assert len(arms["plain-split0"].curve) == 1  # after its first epoch
    assert not any(arm.finished for arm in arms.values())


def test_a_nested_run_that_was_left_open_is_ended_without_training(opened, monkeypatch):
    config, folder, arms = opened
    made = ablate.run(config, NullTracker(), folder)
    (folder / "noisy-split0" / "open").touch()
    monkeypatch.setattr(planned_arm, "train", lambda *args, **given: pytest.fail("trained again"))
    monkeypatch.setattr(planned_arm, "train_arm", lambda *args: pytest.fail("trained again"))
    tracker = RecordingTracker()
    again = ablate.run(config, tracker, folder)
    (child,) = tracker.children
    assert child.run_id == "recording/noisy-split0"
    assert len(child.metric("head/identical_frozen_100pc/val/auroc")) == 1
    assert all(arm.finished for arm in arms.values())
    for old, new in zip(made.comparison.runs, again.comparison.runs, strict=True):
        assert np.array_equal(old.val_probabilities, new.val_probabilities)


def test_a_file_that_is_missing_or_damaged_is_made_again(opened):
    config, folder, _ = opened
    made = ablate.run(config, NullTracker(), folder)
    for name in ("plain-split0/latents.json", "noisy-split0/artefacts.json"):
        (folder / name).unlink()
    (folder / "cells" / "pixels-identical-frozen-100pc-split0-seed1.npz").write_bytes(b"PK")
    tracker = RecordingTracker()
    again = ablate.run(config, tracker, folder)
    made_again = [child.run_id.split("/")[1] for child in tracker.children]
    assert made_again == ["plain-split0", "noisy-split0", "pixels-split0"]  # plain-last shares plain's latents
    assert again.latents == made.latents
    assert again.artefacts == made.artefacts
    assert again.curves == made.curves
    assert not list(folder.glob("**/*.partial"))


def test_workers_are_one_or_more(config):
    with pytest.raises(UserError, match="workers=0 does not fit"):
        replace(config, workers=0)
