"""Every command of the README, run as it stands: only the data, the sizes and the database are the tests' own."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

from derm_ml.data.synthetic import SyntheticSpec, draw, lesion_factors
from derm_ml.tracking.runs import connect

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
BENCHMARK = ("pip install -e '.[bench]'", "python benchmarks/pretrain_throughput.py")  # test_the_benchmark
SMALL = ["-P", "image_size=32"]


def commands(kind):
    blocks = re.findall(rf"```{kind}\n(.*?)```", README, flags=re.S)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("lesions")
    for lesion, view in SyntheticSpec(n=90).views():
        target = folder / lesion_factors(lesion, 0)[1] / f"{lesion}_{view}.png"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(draw(lesion, view, 48, 0)).save(target)
    return folder


def shell(words, timeout=400, **environment):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, **environment}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_commands_of_use_in_their_order(database, lesions, tmp_path):
    folders = {"DERM_ML_RUNS": str(tmp_path / "runs"), "DERM_ML_REPORTS": str(tmp_path / "reports")}
    connect().get_experiment("0")  # made from here, so that artifacts go beside the test's database
    ran = set()
    for line in commands("sh"):
        words = shlex.split(line.replace("/data/lesions", str(lesions)).replace("epochs=12", "epochs=2"))
        words = [re.sub(r"^trials=\d+$", "trials=2", word) for word in words]
        if "resume=RUN_ID" in words:
            words = [word.replace("epochs=2", "epochs=12") for word in words]  # time to interrupt it
            words[-1] = "resume=" + interrupted([*words[:-2], *SMALL], folders)
        if words[:2] == ["mlflow", "run"]:
            shell([*words, *SMALL], **folders)
        elif words[:2] == ["mlflow", "ui"]:
            answers([*words[:-1], database])
        elif words[:2] == ["mlflow", "artifacts"]:
            assert "derm-encoder" in line
            shell([*words, "-d", str(tmp_path / "best")])
            assert (tmp_path / "best" / "encoder.safetensors").is_file()
        elif words[:2] == ["derm-ml", "registry"]:
            assert "champion" in shell(words)
        elif words[0] == ".venv/bin/derm-ml":
            assert "train" in shell(["derm-ml", *words[1:]])
        else:
            assert line in {"make demo", "make test", *BENCHMARK}, f"not tested: {line}"
        ran.add(" ".join(words[:2]))
    assert {"mlflow run", "mlflow ui", "mlflow artifacts", ".venv/bin/derm-ml data"} <= ran
    program = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.S))
    shell([sys.executable, "-c", program + "\nimport torch\nprint(encoder(torch.rand(5, 3, 32, 32)).shape)"])
    statuses = {run.info.status for run in connect().search_runs(["0"])}
    assert statuses == {"FINISHED"}


def interrupted(words, folders):
    """Start the same command, stop it with Ctrl-C after its first checkpoint; its run's ID."""
    before = {run.info.run_id for run in connect().search_runs(["0"])}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, "PATH": path, **folders}, start_new_session=True, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 200
    while True:
        new = [run for run in connect().search_runs(["0"]) if run.info.run_id not in before]
        if new and (Path(folders["DERM_ML_RUNS"]) / new[0].info.run_id / "last.safetensors").is_file():
            break
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert f"-P resume={new[0].info.run_id}" in said
    assert connect().get_run(new[0].info.run_id).info.status == "KILLED"
    return new[0].info.run_id


def answers(words):
    """A server that the command starts answers, and is stopped."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    server = subprocess.Popen(
        [*words, "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                assert b"MLflow" in urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read()
                return
            except OSError:
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.mark.slow
def test_the_benchmark(tmp_path):
    """On few images; its peer is installed beside the environment, not into it."""
    install, benchmark = (shlex.split(line) for line in BENCHMARK)
    assert set(BENCHMARK) <= set(commands("sh"))
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    assert install[-1] == ".[bench]"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--target",
        str(tmp_path / "peer"),
        "--no-deps",
        *extra,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"{extra} cannot be installed: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    small = ["--images", "90", "--epochs", "1", "--pairs", "2"]
    said = shell([sys.executable, *benchmark[1:], *small], PYTHONPATH=str(tmp_path / "peer"))
    assert len(re.findall(r"pair \d: derm_ml \d+ images/s, pythae \d+ images/s, ratio", said)) == 2


@pytest.mark.slow
def test_make_demo(database, tmp_path):
    """The whole demo, on fewer images than `make demo` draws by itself."""
    ready = ROOT / ".venv" / "ready"
    if not ready.is_file() and not os.environ.get("CI"):
        pytest.skip("no .venv: make setup")
    folders = {"DERM_ML_RUNS": str(tmp_path / "runs"), "DERM_ML_REPORTS": str(tmp_path / "reports")}
    connect().create_experiment("demo")  # made from here, so that artifacts go beside the test's database
    said = shell(["make", "demo", "DATA=synthetic:n=60,size=64"], timeout=580, **folders)
    assert "gap (loss)" in said
    report = re.search(r"^report: (.*)$", said, flags=re.M)
    assert report
    assert Path(report[1]).is_file()
    assert "encoder: models:/derm-encoder/1" in said
    assert f"mlflow ui --backend-store-uri {database}" in said
    client = connect()
    experiment = client.get_experiment_by_name("demo").experiment_id
    runs = client.search_runs([experiment])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 7
