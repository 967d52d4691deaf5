"""The trainer's container: an argument list for `docker create`, and its life from start to removal."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from derm_ml.tracking.mounts import mounts as mounts_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Handed on by name: their values reach the container through the engine, and stand on no command line.
SECRETS = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "HF_TOKEN",
    "DERM_ML_STUDIES",  # a URI may hold a password
    "DERM_ML_HEARTBEAT",
    "PGPASSWORD",
)
STORES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")  # addresses of an S3 store that is not Amazon's
ADDING = ("mount", "volume", "v", "env", "e")  # flags of -A that add to the backend's own instead of replacing them


@dataclass(frozen=True)
class Spec:
    """What `docker create` is told.

    Attributes:
        arguments: flags, without variables, image and command.
        environment: values of the variables that are handed on by name.
    """

    image: str
    arguments: list[str]
    environment: dict[str, str]


def folders(work_dir: Path) -> dict[str, Path]:
    """What outlives the container, by the variable that names it: caches, checkpoints, reports."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return {
        "DERM_ML_CACHE": Path(os.environ.get("DERM_ML_CACHE") or Path(cache) / "derm_ml").absolute(),
        "DERM_ML_RUNS": Path(os.environ.get("DERM_ML_RUNS") or work_dir / "checkpoints").absolute(),
        "DERM_ML_REPORTS": Path(os.environ.get("DERM_ML_REPORTS") or work_dir / "reports").absolute(),
    }


def specify(
    *,
    image: str,
    work_dir: Path,
    reads: Sequence[Path],
    s3: bool = False,
    gpus: bool,
    tracking_uri: str,
    artifact_uri: str,
    overrides: Mapping[str, Any],
) -> Spec:
    """Flags and variables. Every path is the same inside as outside: what a run logs is what its user knows.

    Args:
        reads: files and folders of the job's parameters, mounted read-only with what links in them lead to.
        s3: they name objects of a store: the login for it is handed on.
        overrides: `mlflow run -A`: a flag here replaces the one made here, except for mounts and variables.
    """
    writes = folders(work_dir)
    mounts = [_mount(work_dir, readonly=True)]
    mounts += [_mount(each.source, readonly=True, target=each.target) for each in mounts_of(reads)]
    for path in [*writes.values(), *_local(artifact_uri, tracking_uri, os.environ.get("DERM_ML_STUDIES", ""))]:
        path.mkdir(parents=True, exist_ok=True)
        mounts.append(_mount(path, readonly=False))
    medmnist = Path(os.environ.get("DERM_ML_DATA", "~/.medmnist")).expanduser().absolute()
    if medmnist.is_dir():
        mounts.append(_mount(medmnist, readonly=True))
    environment = {key: str(path) for key, path in writes.items()} | {
        "DERM_ML_DATA": str(medmnist),
        "HF_HOME": str(writes["DERM_ML_CACHE"] / "huggingface"),
        "HOME": "/tmp",  # noqa: S108 (the container's own)
        "USER": os.environ.get("USER") or "derm",
        "PYTHONPATH": str(work_dir),  # the code of the working tree, whose commit the run is tagged with
        "COLUMNS": str(os.get_terminal_size().columns) if sys.stdout.isatty() else "100",
    }
    wanted = [*SECRETS, *(name for name in os.environ if s3 and name.startswith("AWS_"))]
    environment |= {name: os.environ[name] for name in wanted if os.environ.get(name)}
    if authority := os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
        environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(Path(authority).absolute())
        mounts.append(_mount(Path(authority).absolute(), readonly=True))
    own: dict[str, Any] = {
        "init": True,
        "user": f"{os.getuid()}:{os.getgid()}",
        "workdir": str(work_dir),
        "shm-size": "8g",
        "security-opt": "no-new-privileges:true",
        "cap-drop": "ALL",
    }
    if sys.stdout.isatty():
        own["tty"] = True
    if gpus:
        own["gpus"] = "all"
    services = (tracking_uri, *(environment.get(name, "") for name in ("DERM_ML_STUDIES", *STORES)))
    if any(urlsplit(uri).hostname in LOOPBACK for uri in services):
        own["network"] = "host"  # the service is published on this machine's loopback
    own |= {name: value for name, value in overrides.items() if name not in ADDING}
    arguments = [word for name, value in own.items() for word in _flag(name, value)]
    arguments += [word for mount in dict.fromkeys(mounts) for word in ("--mount", mount)]
    arguments += [word for name in overrides if name in ADDING for word in _flag(name, overrides[name])]
    return Spec(image, arguments, environment)


def run(spec: Spec, words: Sequence[str], name: str, environment: Mapping[str, str]) -> tuple[int, bool]:
    """Start the container, show its output, wait for its end, and remove it.

    Ctrl-C is passed on once, as SIGINT: the process inside closes its run and ends with 130.

    Returns:
        Its exit code, and whether the kernel killed it for memory.
    """
    variables = {**spec.environment, **environment}
    by_name = [word for variable in variables for word in ("--env", variable)]
    created = ["docker", "create", "--name", name, *by_name, *spec.arguments, spec.image, *words]
    # a session of its own: the terminal's Ctrl-C goes to this process, which passes it on
    process = subprocess.run(
        created, env=os.environ | variables, capture_output=True, text=True, check=False, start_new_session=True
    )
    if process.returncode:
        raise RuntimeError(f"the container could not be made: {_last(process.stderr)}")
    try:
        started = subprocess.Popen(["docker", "start", "--attach", name], start_new_session=True)
        code = None
        while code is None:
            try:
                code = started.wait()
            except KeyboardInterrupt:
                subprocess.run(["docker", "kill", "--signal", "INT", name], capture_output=True, check=False)
        inspected = ["docker", "inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}", name]
        state = subprocess.run(inspected, capture_output=True, text=True, check=True).stdout.split(maxsplit=2)
        if len(state) > 2:
            raise RuntimeError(f"the container could not be started: {state[2].strip()}")
        return int(state[0]), state[1] == "true"
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def _flag(name: str, value: Any) -> list[str]:
    dashes = "-" if len(name) == 1 else "--"
    return [dashes + name] if value is True else [dashes + name, str(value)]


def _mount(path: Path, *, readonly: bool, target: Path | None = None) -> str:
    """A bind mount, at its own path unless said otherwise; quoted as CSV: a path may hold commas, colons and spaces."""
    row = io.StringIO()
    fields = ["type=bind", f"source={path}", f"target={target or path}"]
    csv.writer(row, lineterminator="").writerow([*fields, *(["readonly"] if readonly else [])])
    return row.getvalue()


def _local(artifact_uri: str, *databases: str) -> list[Path]:
    """The folders of artifacts and of SQLite files on this disk."""
    sqlite = "sqlite:///"
    found = [Path(uri.removeprefix(sqlite)).absolute().parent for uri in databases if uri.startswith(sqlite)]
    parts = urlsplit(artifact_uri)
    if parts.scheme in ("", "file"):
        found.append(Path(parts.path).parents[1])
    return found


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
