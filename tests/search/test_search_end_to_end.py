"""Searches as a user types them, in processes of their own: workers that join, are killed, and lose the database."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from derm_ml.search.storage import open_storage
from derm_ml.tracking.registry import resolve_encoder
from derm_ml.tracking.runs import connect

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
SMALL = {"data": "synthetic:n=90,size=40,seed=1", "image_size": "32", "backbone": "test_efficientnet"}
TRIAL = {**SMALL, "latent_dim": "8", "figures_every": "1", "kl_warmup": "1"}


@pytest.fixture
def environment(database, tmp_path):
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("DERM_ML_WORKER")},
        "DERM_ML_RUNS": str(tmp_path / "runs"),
        "DERM_ML_HEARTBEAT": "1",
        "OMP_NUM_THREADS": "1",
    }


def command(entry_point, **given):
    return [sys.executable, "-m", "derm_ml", entry_point, *(f"--{k.replace('_', '-')}={v}" for k, v in given.items())]


def output_of(environment, folder, *words, code=0):
    """To its end; returns what it printed, or with a code what it said last."""
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, timeout=400)
    assert done.returncode == code, done.stderr
    return done.stderr.strip().splitlines()[-1] if code else done.stdout


def through_mlflow(**given):
    words = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "-b", "host"]
    return words + [word for key, value in given.items() for word in ("-P", f"{key}={value}")]


def runs_of(client):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, max_results=500)


def trials_of(client, parent=None):
    found = [run for run in runs_of(client) if run.info.run_name.startswith("trial-")]
    return [run for run in found if parent in (None, run.data.tags["mlflow.parentRunId"])]


def study_trials(uri):
    storage = open_storage(uri)
    return storage.get_all_trials(storage.get_all_studies()[0]._study_id)


def test_a_search_through_mlflow_run_with_two_workers(environment, tmp_path):
    said = output_of(environment, tmp_path, *through_mlflow(**TRIAL, epochs="2", trials="6", workers="2"))
    assert "6 of 6 trials" in said
    client = connect()
    trials = trials_of(client)
    (parent,) = [run for run in runs_of(client) if not run.info.run_name.startswith("trial-")]
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "pretrain search")
    assert len(trials) == 6
    assert {run.info.status for run in trials} == {"FINISHED"}
    assert {run.data.tags["trial.state"] for run in trials} <= {"complete", "pruned"}
    for run in trials:
        assert {"pretrain.beta", "pretrain.lr"} <= set(run.data.params)
        assert len(client.get_metric_history(run.info.run_id, "probe/auroc")) >= 1
    complete = [run for run in trials if run.data.tags["trial.state"] == "complete"]
    best = max(complete, key=lambda run: run.data.metrics["probe/auroc"])
    assert parent.data.metrics["best/auroc"] == best.data.metrics["probe/auroc"]
    assert parent.data.metrics["best/beta"] == pytest.approx(float(best.data.params["pretrain.beta"]))
    artifacts = {each.path for each in client.list_artifacts(parent.info.run_id, "search")}
    assert {"search/search.html", "search/trials.csv", "search/slice_of_auroc.png"} <= artifacts

    version = client.get_model_version_by_alias("derm-encoder", "champion")
    assert version.run_id == best.info.run_id
    assert parent.data.tags["best.encoder"] == f"models:/derm-encoder/{version.version}"
    files = resolve_encoder(client, f"runs:/{parent.info.run_id}", tmp_path / "download")
    assert files.uri == f"models:/derm-encoder/{version.version}"
    assert len(list((tmp_path / "runs" / parent.info.run_id).glob("trial-*/last.safetensors"))) <= 3

    # another space under the same name, then a larger budget: it goes on under the same parent
    again = {**TRIAL, "epochs": "2", "trials": "7"}
    said = output_of(environment, tmp_path, *command("pretrain", **again, space="beta=1..2,lr"), code=2)
    assert "has another space" in said
    output_of(environment, tmp_path, *command("pretrain", **again))
    assert len(trials_of(client, parent.info.run_id)) == 7
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"


def checkpoints(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/trial-*/last.safetensors")}


def kill_after_a_checkpoint(process, folder, *, child=False):
    """SIGKILL the process, or the one that it started, once a trial has written one that was not there before."""
    before, deadline = checkpoints(folder), time.monotonic() + 120
    while not set(checkpoints(folder).items()) - set(before.items()):
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if child:
        psutil.Process(process.pid).children()[0].kill()
    else:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_workers_killed_in_mid_trial_lose_nothing(environment, tmp_path):
    given = {**TRIAL, "epochs": "6", "trials": "4", "study": "killed"}
    words = command("pretrain", **given)
    outer = subprocess.Popen(through_mlflow(**given), env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    kill_after_a_checkpoint(outer, tmp_path, child=True)
    assert outer.wait(60) == 137
    assert {run.info.status for run in runs_of(connect())} <= {"FAILED", "FINISHED"}, "none is left RUNNING"
    for _ in range(2):
        kill_after_a_checkpoint(subprocess.Popen(words, env=environment, cwd=tmp_path), tmp_path)
    assert "4 of 4 trials" in output_of(environment, tmp_path, *words)
    client = connect()
    trials = trials_of(client)
    assert sorted(run.info.run_name for run in trials) == [f"trial-{number:04d}" for number in range(len(trials))]
    assert {run.info.status for run in trials} == {"FINISHED"}
    for run in trials:
        steps = [row.step for row in client.get_metric_history(run.info.run_id, "val/elbo")]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) == 6 or run.data.tags["trial.state"] == "pruned"
    states = [trial.state.name for trial in study_trials(f"sqlite:///{tmp_path}/runs/studies.db")]
    assert states.count("COMPLETE") + states.count("PRUNED") == 4
    assert states.count("FAIL") == 3


def test_both_arms_are_tuned_with_the_same_budget(environment, tmp_path):
    given = {**SMALL, "epochs": "3", "mode": "frozen"}
    said = output_of(environment, tmp_path, *command("finetune", **given, encoder="random", trials="4"))
    assert "trials an arm: random 4" in said
    said = output_of(environment, tmp_path, *command("finetune", **given, encoder="pixels", trials="3"))
    assert "NOT the same budget for every arm, in trials: pixels 3, random 4; trials=4 for pixels mends it" in said
    said = output_of(environment, tmp_path, *command("finetune", **given, encoder="pixels", trials="4"))
    assert "the same budget for every arm so far, in trials: pixels 4, random 4" in said
    client = connect()
    parents = [run for run in runs_of(client) if run.info.run_name == "finetune search"]
    for parent in parents:
        trials = trials_of(client, parent.info.run_id)
        assert len(trials) == 4
        assert parent.data.metrics["best/loss"] == min(run.data.metrics["val/loss"] for run in trials)
        assert {run.data.tags["protocol"] for run in trials} == {"tuned"}
        assert not any(key.startswith("test/") for run in trials for key in run.data.metrics)


def test_without_labels_the_goal_is_the_elbo_and_heads_are_refused(environment, tmp_path):
    from PIL import Image

    from derm_ml.data.synthetic import SyntheticSpec, draw

    folder = tmp_path / "images"
    folder.mkdir()
    names = []
    for lesion, view in SyntheticSpec(n=60).views():
        names.append(f"{lesion}_{view}.png")
        Image.fromarray(draw(lesion, view, 40, 0)).save(folder / names[-1])
    (folder / "images.csv").write_text("path,label\n" + "".join(f"{name},\n" for name in names))
    given = {**TRIAL, "data": str(folder), "epochs": "2"}
    said = output_of(environment, tmp_path, *command("pretrain", **given, trials="2", space="beta,lr,latent_dim=4..16"))
    assert "best: trial" in said
    client = connect()
    trials = trials_of(client)
    best = max(run.data.metrics["val/elbo"] for run in trials if run.data.tags["trial.state"] == "complete")
    version = client.get_model_version_by_alias("derm-encoder", "champion")
    assert version.tags["score.name"] == "val/elbo"
    assert float(version.tags["score"]) == best
    for words, message in (
        (command("pretrain", **given, trials="2", objective="auroc"), "objective=auroc needs labels"),
        (command("finetune", data=str(folder), encoder="random"), "one class is too few to compare on"),
    ):
        assert message in output_of(environment, tmp_path, *words, code=2)
