"""Runs end as they should, and the registry keeps its rules; on a real SQLite store and a real server."""

import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from derm_ml.errors import UserError
from derm_ml.tracking.mlflow import open_run
from derm_ml.tracking.registry import resolve_encoder
from derm_ml.tracking.runs import connect
from derm_ml.tracking.server import check_server, masked


def status(run_id):
    run = connect().get_run(run_id)
    return run.info.status, run.data.tags.get("error")


@pytest.mark.parametrize(
    ("error", "ending", "reason"),
    [
        (UserError("no such thing"), "FAILED", "no such thing"),
        (ValueError("odd\nand long"), "FAILED", "ValueError: odd"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
    ],
)
def test_a_run_says_how_it_ended(database, error, ending, reason):
    with pytest.raises(type(error)), open_run("e", "r") as tracker, tracker.child("c") as child:
        child.log_metrics({"a": 1.0}, 1)
        raise error
    assert status(tracker.run_id) == status(child.run_id) == (ending, reason)
    assert connect().get_run(child.run_id).data.metrics == {"a": 1.0}


def test_an_interrupted_run_is_gone_on_with(database):
    with pytest.raises(KeyboardInterrupt), open_run("e", "r") as tracker:
        tracker.log_params({"a.b": 0.001})
        for step in range(5):
            tracker.log_metrics({"loss": step / 2}, step)
        raise KeyboardInterrupt
    with open_run("e", "r", resume=tracker.run_id) as again:
        again.log_params({"a.b": 0.001})
        again.log_metrics({"loss": 8.0}, 4)
        again.log_metrics({"loss": 9.0}, 5)
    assert again.run_id == tracker.run_id
    assert [row.value for row in connect().get_metric_history(tracker.run_id, "loss")] == [0, 0.5, 1, 1.5, 2, 9]
    assert status(tracker.run_id) == ("FINISHED", None)
    with pytest.raises(UserError, match="has finished"), open_run("e", "r", resume=tracker.run_id):
        pass
    assert status(tracker.run_id) == ("FINISHED", None)


def test_a_run_is_not_gone_on_with_under_other_parameters(database):
    with pytest.raises(KeyboardInterrupt), open_run("e", "r") as tracker:
        tracker.log_params({"a.b": 0.001})
        raise KeyboardInterrupt
    with pytest.raises(UserError, match=r"other parameters \(a.b\)"), open_run("e", "r", resume=tracker.run_id) as more:
        more.log_params({"a.b": 0.002})


def test_the_run_that_mlflow_made_is_taken(database, monkeypatch):
    made = connect().create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
    with open_run("another experiment", "r") as tracker:
        assert tracker.run_id == made.info.run_id


def test_unknown_runs_and_encoders_are_one_line(database, tmp_path):
    with pytest.raises(UserError, match="no such run"), open_run("e", "r", resume="0" * 32):
        pass
    for reference in ("models:/derm-encoder@champion", "models:/derm-encoder/3", "models:/none/latest", "runs:/1"):
        with pytest.raises(UserError, match="encoder="):
            resolve_encoder(connect(), reference, tmp_path / "d")
    with pytest.raises(UserError, match="no such file"):
        resolve_encoder(connect(), "somewhere.safetensors", tmp_path)


def test_a_dead_server_is_said_at_once():
    began = time.monotonic()
    with pytest.raises(UserError, match="does not answer"):
        check_server("http://user:secret@127.0.0.1:9")
    assert time.monotonic() - began < 6
    assert masked("http://user:secret@host:5000/x") == "http://***@host:5000/x"


@pytest.mark.service
def test_against_a_real_server(tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/s.db", "--artifacts-destination", str(tmp_path / "a")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(uri + "/health", timeout=1)
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                assert server.poll() is None, "the server ended"
                time.sleep(0.5)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with open_run("e", "r") as tracker:
            tracker.log_params({"a.b": 1})
            tracker.log_text("hello", "t.txt")
            tracker.log_metrics({"x": 1.5}, 0)
        run = connect().get_run(tracker.run_id)
        assert (run.info.status, run.data.metrics["x"]) == ("FINISHED", 1.5)
        assert {each.path for each in connect().list_artifacts(tracker.run_id)} >= {"t.txt", "environment.txt"}
    finally:
        server.terminate()
        server.wait(30)
