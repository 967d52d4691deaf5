"""What a user types, through to the registry: on real stores, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from derm_ml.cli import main
from derm_ml.tracking.runs import connect

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow
SMALL = {"data": "synthetic:n=90,size=40,seed=1", "image_size": "32", "backbone": "test_efficientnet"}


def mlflow_run(entry_point, folder, **parameters):
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", entry_point, "-b", "host"]
    for key, value in {**SMALL, **parameters}.items():
        command += ["-P", f"{key}={value}"]
    environment = {**os.environ, "DERM_ML_RUNS": str(folder / "runs"), "DERM_ML_REPORTS": str(folder / "reports")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)


OUTSIDE = """
import json, sys
sys.modules["derm_ml"] = None
import mlflow, torch
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pytorch.load_model("models:/derm-encoder@champion")
x = torch.linspace(0, 1, 3 * 3 * 32 * 32).view(3, 3, 32, 32)
with torch.no_grad():
    print(json.dumps(model(x).flatten().tolist()))
"""


def test_pretrain_finetune_compare(database, tmp_path):
    done = mlflow_run("pretrain", tmp_path, epochs=2, figures_every=1, latent_dim=8, regulariser="tc", kl_cycles=1)
    assert done.returncode == 0, done.stderr
    client = connect()
    (run,) = client.search_runs(["0"])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "pretrain")
    assert len(run.outputs.model_outputs) == 1
    assert len(run.data.tags["mlflow.source.git.commit"]) == 40
    assert {"train/elbo", "val/distortion", "val/rate", "active_units", "probe/auroc", "gap/loss"} <= set(
        run.data.metrics
    )
    assert run.data.params["pretrain.backbone"] == "test_efficientnet"
    assert [each.tags[0].value for each in run.inputs.dataset_inputs] == ["training", "validation", "testing"]
    figures = {each.path for each in client.list_artifacts(run.info.run_id, "figures")}
    assert "figures/traversals_epoch_0002.png" in figures

    _same_features_without_derm_ml(database, tmp_path)

    done = mlflow_run("finetune", tmp_path, epochs=2, encoder="models:/derm-encoder@champion", mode="full")
    assert done.returncode == 0, done.stderr
    done = mlflow_run("finetune", tmp_path, epochs=2, encoder="models:/derm-encoder@champion", features="latent")
    assert done.returncode == 0, done.stderr
    done = mlflow_run("finetune", tmp_path, epochs=2, encoder="random", features="latent")
    assert done.returncode == 2
    assert "has no latents" in done.stderr
    done = mlflow_run(
        "compare", tmp_path, epochs=3, seeds=2, arms="vae,random,pixels,majority", encoder="models:/derm-encoder/1"
    )
    assert done.returncode == 0, done.stderr
    assert "gap (loss)" in done.stdout
    parent = client.search_runs(["0"], max_results=50)
    nested = [each for each in parent if "mlflow.parentRunId" in each.data.tags]
    assert len(nested) == 4 * 2 * 2  # arms, seeds, protocols
    names = {"train/loss", "val/loss", "gap/loss", "gap/accuracy", "gap/loss_balanced", "test/auroc", "test/ece"}
    for each in nested:
        assert each.info.status == "FINISHED"
        assert names <= set(each.data.metrics)
    (top,) = {each.data.tags["mlflow.parentRunId"] for each in nested}
    assert "report/report.html" in {each.path for each in client.list_artifacts(top, "report")}

    _a_challenger_is_compared_with_the_champion(client, tmp_path)

    # An encoder of another split of the same data has seen images that are test images now.
    done = mlflow_run("finetune", tmp_path, epochs=1, split_seed=3, encoder="models:/derm-encoder/1")
    assert done.returncode == 2
    assert "pretrained on another split" in done.stderr
    last = client.search_runs(["0"], max_results=1)[0]
    assert last.info.status == "FAILED"
    assert "pretrained on another split" in last.data.tags["error"]


def _a_challenger_is_compared_with_the_champion(client, tmp_path):
    """The registry's champion runs beside it, the decision is written; another collection is scored, apart."""
    assert mlflow_run("pretrain", tmp_path, epochs=1, latent_dim=8, seed=5).returncode == 0
    assert client.get_model_version_by_alias("derm-encoder", "challenger").version == 2
    done = mlflow_run(
        "compare", tmp_path, epochs=3, seeds=2, arms="vae,random", encoder="models:/derm-encoder/2",
        protocols="identical", external="synthetic:n=40,size=40,seed=9",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "champion: " in done.stdout
    runs = client.search_runs(["0"], "tags.arm = 'champion'")
    assert {run.data.tags["encoder"] for run in runs} == {"models:/derm-encoder/1"}
    assert len(runs) == 2
    version = client.get_model_version("derm-encoder", "2")
    assert "models:/derm-encoder/1" in version.tags["promotion.reason"]
    assert "## Evidence" in version.description
    champion = client.get_model_version_by_alias("derm-encoder", "champion")
    assert champion.version == (2 if "moved to" in done.stdout else 1)
    top = client.get_run(runs[0].data.tags["mlflow.parentRunId"])
    report = tmp_path / "reports" / top.info.run_id
    assert (report / "external.csv").is_file()
    assert (report / "latent_traversals.png").is_file()
    assert "champion" not in (report / "arms.csv").read_text()


def _same_features_without_derm_ml(database, tmp_path):
    import json

    import torch

    from derm_ml.models.backbones import build_encoder
    from derm_ml.models.pretrained import load_safetensors
    from derm_ml.tracking.registry import resolve_encoder

    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE, database], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    theirs = torch.tensor(json.loads(done.stdout.splitlines()[-1])).view(3, -1)
    files = resolve_encoder(connect(), "models:/derm-encoder@champion", tmp_path / "download")
    encoder = build_encoder("test_efficientnet", 32, 0).eval()
    load_safetensors(encoder, files.weights)
    with torch.no_grad():
        ours = encoder(torch.linspace(0, 1, 3 * 3 * 32 * 32).view(3, 3, 32, 32))
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


def until_a_checkpoint(process, folder):
    deadline = time.monotonic() + 200
    while not list(folder.glob("runs/*/last.safetensors")):
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_ctrl_c_kills_the_run_and_resume_goes_on_in_it(database, tmp_path):
    environment = {**os.environ, "DERM_ML_RUNS": str(tmp_path / "runs")}
    words = [sys.executable, "-m", "derm_ml", "pretrain"]
    given = {**SMALL, "epochs": "25", "latent_dim": "8", "figures_every": "100"}
    for key, value in given.items():
        words += ["--" + key.replace("_", "-"), value]
    process = subprocess.Popen(words, env=environment, cwd=tmp_path)
    until_a_checkpoint(process, tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    client = connect()
    experiment = client.get_experiment_by_name("derm_ml").experiment_id
    (run,) = client.search_runs([experiment])
    run_id = run.info.run_id
    assert run.info.status == "KILLED"
    other = subprocess.run([*words, "--resume", run_id, "--seed", "1"], env=environment, cwd=tmp_path)
    assert other.returncode == 2
    assert "seed" in client.get_run(run_id).data.tags["error"]
    before = client.get_metric_history(run_id, "val/elbo")
    assert 0 < len(before) < 25

    done = mlflow_run("pretrain", tmp_path, **{**given, "resume": run_id})
    assert done.returncode == 0, done.stderr
    assert [each.info.run_id for each in client.search_runs([experiment, "0"])] == [run_id]
    after = client.get_run(run_id)
    assert after.info.status == "FINISHED"
    assert "error" not in after.data.tags
    assert [row.step for row in client.get_metric_history(run_id, "val/elbo")] == list(range(1, 26))
    assert client.get_model_version_by_alias("derm-encoder", "champion").run_id == run_id
    again = mlflow_run("pretrain", tmp_path, **{**given, "resume": run_id})
    assert again.returncode == 2
    assert client.get_run(run_id).info.status == "FINISHED"


BAD = [
    (["pretrain", "--lr", "abc"], "invalid float value: 'abc'"),
    (["pretrain", "--beta", "-1"], "beta=-1.0 does not fit"),
    (["pretrain", "--epoch", "4"], "--epoch is not known: did you mean --epochs? (see derm-ml pretrain --help)"),
    (["pretrain", "--extra", "nowhere"], "extra=nowhere: there is nothing at this path"),
    (["pretrain", "--image-size", "65"], "image_size=65"),
    (["pretrain", "--backbone", "resnet5O"], "did you mean"),
    (["pretrain", "--data", "nowhere"], "and it is none of synthetic, dermamnist"),
    (["pretrain", "--data", "."], "it is empty"),
    (["finetune", "--encoder", "models:/derm-encoder@nobody"], "not found"),
    (["compare"], "no encoder at 64 px"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line_and_a_failed_run(database, tmp_path, monkeypatch, capsys, words, message):
    empty = tmp_path / "empty"
    empty.mkdir()
    run = connect().create_run("0")
    monkeypatch.chdir(empty)
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    extra = [] if "--data" in words else ["--data", SMALL["data"]]
    assert main([*words, *extra]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("derm-ml:")]
    assert len(said) == 1
    assert message in said[0]
    after = connect().get_run(run.info.run_id)
    assert after.info.status == "FAILED"
    assert message in after.data.tags["error"]
    assert connect().search_registered_models() == []


def test_a_dead_server_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main(["pretrain"]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_a_killed_child_does_not_leave_its_run_running(database, tmp_path):
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "-b", "host", "-P", "epochs=900"]
    for key, value in SMALL.items():
        command += ["-P", f"{key}={value}"]
    environment = {**os.environ, "DERM_ML_RUNS": str(tmp_path / "runs")}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    until_a_checkpoint(process, tmp_path)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    assert process.wait(60) == 137
    (run,) = connect().search_runs(["0"])
    assert run.info.status == "FAILED"
    assert "signal 9" in run.data.tags["error"]
