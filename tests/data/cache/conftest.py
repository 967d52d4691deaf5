"""An empty cache and a folder of pictures for each test."""

from pathlib import Path

import pytest
from counted import Counting, photograph

from derm_ml.data.cache import remembered


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERM_ML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Counting:
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(50):
        (root / f"{number:03d}.png").write_bytes(photograph(number))
    (root / "bad.png").write_bytes(b"no picture")
    (root / "copy.png").write_bytes(photograph(7))
    (root / "grey.png").write_bytes(photograph(99, "L"))
    return Counting(root)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock a minute ahead: files that were just written are no longer within the tick of their last change."""
    now = remembered.time.time_ns
    monkeypatch.setattr(remembered.time, "time_ns", lambda: now() + 60_000_000_000)
