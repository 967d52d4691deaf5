"""Searches with their studies in the service's database: who may see it, its loss, its backup, its restart."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psycopg
import pytest

from derm_ml.cli import main
from derm_ml.search.storage import exclusively, open_storage, studies_uri
from derm_ml.tracking.runs import connect

pytestmark = pytest.mark.service
SMALL = {"data": "synthetic:n=90,size=40,seed=1", "image_size": "32", "backbone": "test_efficientnet"}
TRIAL = {**SMALL, "latent_dim": "8", "figures_every": "1", "kl_warmup": "1", "epochs": "4", "study": "shared"}


@pytest.fixture
def studies(native, tmp_path, monkeypatch):
    """A researcher's variables; their runs go to a file, so that MLflow is there when PostgreSQL is not."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING")]:
        monkeypatch.delenv(name)
    own = {"DERM_ML_STUDIES": native.studies, "PGPASSWORD": native.settings["STUDIES_PASSWORD"]}
    own |= {"DERM_ML_HEARTBEAT": "2", "DERM_ML_RUNS": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1"}
    own |= {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    for key, value in own.items():
        monkeypatch.setenv(key, value)
    return native


def test_the_role_sees_its_own_schema_alone(studies):
    with psycopg.connect(studies.studies) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("studies",)
        for statement in (
            "SELECT * FROM public.runs",
            "SELECT * FROM public.users",
            "CREATE TABLE public.mine (a int)",
            "CREATE ROLE other",
            "COPY (SELECT 1) TO PROGRAM 'id'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()


def test_the_lock_goes_with_a_database_that_goes_while_it_is_held(studies):
    with contextlib.closing(open_storage(studies_uri("."))) as storage:
        with exclusively(storage):
            studies._postgres("pg_ctl", "-D", str(studies.folder / "postgres"), "-m", "immediate", "-w", "stop")
        studies._start_database()
        with exclusively(storage):
            assert storage.get_all_studies() == []


@pytest.fixture
def start():
    """Starts workers, of which none outlives the test: they would wait for the database for ever."""
    started = []

    def one(**given):
        started.append(launched(**given))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


def launched(**given):
    words = [f"--{key.replace('_', '-')}={value}" for key, value in {**TRIAL, **given}.items()]
    command = [sys.executable, "-m", "derm_ml", "pretrain", *words, "--debug"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def shared_trials():
    with contextlib.closing(open_storage(studies_uri("."))) as storage:
        found = [each for each in storage.get_all_studies() if each.study_name == "shared"]
        return storage.get_all_trials(found[0]._study_id) if found else []


def test_two_workers_wait_out_a_database_that_is_away_and_a_backup_holds_the_study(studies, start, tmp_path):
    first, second = start(trials=8), start(trials=8)
    deadline = time.monotonic() + 200
    while sum(trial.state.is_finished() for trial in shared_trials()) < 2:
        assert first.poll() is None, first.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.5)
    studies._postgres("pg_ctl", "-D", str(studies.folder / "postgres"), "-m", "immediate", "-w", "stop")
    time.sleep(12)  # longer than a worker may be silent
    assert [process.stderr.read() for process in (first, second) if process.poll() is not None] == []
    studies._start_database()
    said = [process.communicate(timeout=300) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert all("8 of 8 trials" in out for out, _ in said)
    assert any("does not answer" in err and "waiting for it" in err for _, err in said)
    assert any("database is back" in err for _, err in said)
    ended = [trial for trial in shared_trials() if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(ended) == len({trial.user_attrs["index"] for trial in ended}) == 8
    client = connect()
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sum(run.info.run_name.startswith("trial-") for run in runs) == 8
    workers = {run.data.tags["search.worker"] for run in runs if run.info.run_name.startswith("trial-")}
    assert len(workers) == 2

    # the study is in the service's backup, and its tables belong to its role again after a restore
    native = ["--native", str(studies.folder)]
    before = sorted(trial.number for trial in shared_trials())
    assert main(["service", "backup", str(tmp_path / "saved"), *native]) == 0
    assert main(["service", "restore", str(tmp_path / "saved"), "--replace", *native]) == 0
    os.environ["PGPASSWORD"] = studies.settings["STUDIES_PASSWORD"]
    assert sorted(trial.number for trial in shared_trials()) == before
    again = start(trials=9)
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert "9 of 9 trials" in out
