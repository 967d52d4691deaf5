"""A running service as the administrator's commands see it: its database, its tasks, its server; here with Compose."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Protocol

from derm_ml.errors import UserError


class Stack(Protocol):
    """The three servers, wherever they run."""

    folder: Path

    def start(self, *, server: bool = True) -> None:
        """Start what is not running, and return when it is healthy; without `server` the database and store only."""

    def stop(self, *, server_only: bool = False) -> None:
        """Stop all, or MLflow alone."""

    def database(self, tool: str, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        """Run PostgreSQL's `tool` on the database; returns its output unless `target` takes it."""

    def task(self, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        """Run a task of `derm_ml.service` in the server's environment."""


class ComposeStack:
    """docker-compose.yml and `.env` in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        if not (self.folder / "docker-compose.yml").is_file():
            raise UserError(
                f"{self.folder}: no docker-compose.yml here: run this in a clone of derm_ml, or give --project"
            )
        if not (self.folder / ".env").is_file():
            raise UserError(f"{self.folder}: no .env here: run `make env`, then `docker compose up -d`")
        if shutil.which("docker") is None:
            raise UserError("docker is not installed (https://docs.docker.com/engine/install), or use --native DIR")

    def start(self, *, server: bool = True) -> None:
        """`docker compose up -d --wait`; the store is started only where its profile says so."""
        if server:
            self._compose("up", "--detach", "--wait", "--wait-timeout", "300")
        else:
            others = [name for name in self._compose("config", "--services").split() if name in ("postgres", "s3")]
            self._compose("up", "--detach", "--wait", "--wait-timeout", "300", *others)

    def stop(self, *, server_only: bool = False) -> None:
        """`docker compose stop`; volumes stay."""
        self._compose("stop", *(["mlflow"] if server_only else []))

    def database(self, tool: str, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        """In the database's container, over its own socket."""
        return self._compose("exec", "-T", "postgres", tool, "-U", "mlflow", *words, source=source, target=target)

    def task(self, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        """In a container of the server's image, removed afterwards."""
        command = ["run", "--rm", "-T", "--no-deps", "mlflow", *words]
        return self._compose(*command, source=source, target=target)

    def _compose(self, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        command = ["docker", "compose", "--progress", "quiet", "--project-directory", str(self.folder), *words]
        return run(command, dict(os.environ), source=source, target=target)


def run(
    command: list[str],
    environment: dict[str, str],
    *,
    source: IO[bytes] | None = None,
    target: IO[bytes] | None = None,
) -> str:
    """Run a command to its end; returns what it printed, unless `target` took it.

    Raises:
        UserError: it failed; the message is its last lines.
    """
    done = subprocess.run(
        command,
        env=environment,
        stdin=source or subprocess.DEVNULL,
        stdout=target or subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise UserError("; ".join(said[-3:]) or f"{command[0]} ended with {done.returncode}")
    return (done.stdout or b"").decode(errors="replace")
