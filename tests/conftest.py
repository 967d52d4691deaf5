"""Fixtures: a cache of the tests' own, and the real data where it is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from fuzzing import tried
from hypothesis import settings

settings.register_profile("tests", tried(50))
settings.load_profile("tests")
ROOT = Path(__file__).resolve().parents[1]
# A shell starts its background jobs with Ctrl-C ignored, and children inherit that: tests that interrupt would wait.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """No test reads or writes the user's cache, tracking database or run."""
    os.environ["DERM_ML_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty tracking database, made the default."""
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture(scope="session")
def ham10000() -> Path:
    """The real data; outside CI a machine without it skips, in CI that is a failure."""
    folder = Path(os.environ.get("DERM_ML_HAM10000", ROOT.parent / "shared" / "data" / "ham10000"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"HAM10000 is not at {folder}: set DERM_ML_HAM10000")
        pytest.skip(f"HAM10000 is not at {folder}: set DERM_ML_HAM10000")
    return folder
