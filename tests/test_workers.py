"""Processes of one command: the command line is the configuration's own, and a worker that fails is told."""

import sys

import pytest

from derm_ml import workers
from derm_ml.cli.arguments import build_parser, config_from
from derm_ml.config import AblateConfig, FinetuneConfig, PretrainConfig

SEARCHES = [PretrainConfig(trials=3, workers=4, lr=0.1), FinetuneConfig(trials=3, workers=4, study="a study")]
CONFIGS = [*SEARCHES, AblateConfig(plan="-a plan.toml", workers=4, resume="id", images="test", label_fractions="0.1,1")]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_worker_is_given_the_same_configuration(config):
    entry = type(config).__name__.removesuffix("Config").lower()
    python, _, package, *words = workers.command_of(config, entry)
    assert (python, package) == (sys.executable, "derm_ml")
    told = config_from(build_parser().parse_args(words))
    assert told.workers == 1
    assert vars(told) | {"workers": 4} == vars(config)


def test_those_that_fail_are_told_with_their_last_line(monkeypatch, tmp_path, capfd):
    program = "import os, sys; sys.exit(os.environ['DERM_ML_WORKER_RUN'] + os.environ['OMP_NUM_THREADS'] + '\\n')"
    monkeypatch.setattr(workers, "command_of", lambda config, entry: [sys.executable, "-c", program])
    monkeypatch.setattr(workers, "POLL", 0.01)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    looks = []
    failed = workers.run_workers(SEARCHES[0], "pretrain", "id", tmp_path / "run", lambda: looks.append(1))
    assert failed == ["id7"] * 4
    assert looks
    assert "worker 3 ended with 1: id7" in capfd.readouterr().err
    assert (tmp_path / "run" / "worker-3.log").read_text().strip() == "id7"


def test_an_error_while_they_work_stops_them(monkeypatch, tmp_path):
    program = "import time; time.sleep(60)"
    monkeypatch.setattr(workers, "command_of", lambda config, entry: [sys.executable, "-c", program])
    with pytest.raises(ZeroDivisionError):
        workers.run_workers(SEARCHES[0], "pretrain", "id", tmp_path, lambda: 1 / 0)
    assert [(tmp_path / f"worker-{number}.log").is_file() for number in range(4)] == [True] * 4


def test_one_that_fails_is_told_while_the_others_go_on(monkeypatch, tmp_path, capfd):
    first = "sys.exit('the first') if os.environ['OMP_NUM_THREADS'] == '0' else time.sleep(60)"
    program = f"import os, sys, time; {first}"
    monkeypatch.setattr(workers, "command_of", lambda config, entry: [sys.executable, "-c", program])
    monkeypatch.setattr(workers, "_environment", lambda number, count, run_id: {"OMP_NUM_THREADS": str(number)})
    monkeypatch.setattr(workers, "POLL", 0.01)
    seen = []

    def look():
        seen.append(capfd.readouterr().err)
        if "worker 0 ended with 1: the first" in "".join(seen):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.run_workers(SEARCHES[0], "pretrain", "id", tmp_path / "run", look)
