"""What `-b cuda` checks before a run exists: each failure is one line that says what, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_ml.errors import UserError
from derm_ml.tracking.mounts import hides_own

FREE = 2 * 2**30  # bytes for the decoded images, checkpoints and reports of a run
LOCK = "/opt/derm_ml/docker/constraints.txt"


def check_engine() -> None:
    """The `docker` command and an engine that answers it."""
    if shutil.which("docker") is None:
        raise UserError("docker is not installed: https://docs.docker.com/engine/install, or use -b host")
    _client()


def check_image(image: str, work_dir: Path) -> None:
    """The trainer's image is here, with the packages of docker/constraints.txt (its code is the working tree's)."""
    from docker.errors import DockerException

    build = f"docker compose build trainer (in {work_dir})"
    try:
        _client().images.get(image)
    except DockerException as error:
        raise UserError(f"the image {image} is not on this machine: {build}") from error
    own = work_dir / "docker" / "constraints.txt"
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "cat", image, LOCK]
    inside = subprocess.run(command, capture_output=True, check=False).stdout
    if own.is_file() and own.read_bytes() != inside:
        raise UserError(f"the image {image} was built with other packages than {own} lists: {build}")


def check_mountable(name: str, path: Path) -> None:
    """What a parameter names can be mounted at its own path."""
    if hides_own(path):
        raise UserError(f"{name}={path}: mounted, it would hide the container's own {path}: use a folder of its own")


def check_disk(folders: Mapping[str, Path]) -> None:
    """Room for caches, checkpoints and reports, and the right to write there."""
    for variable, folder in folders.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < FREE:
            raise UserError(
                f"{folder}: {free / 2**30:.1f} GB free, {FREE / 2**30:.0f} are needed: make room, or set {variable}"
            )
        if not os.access(there, os.W_OK):
            raise UserError(f"{folder}: you may not write there: set {variable} to a folder of your own")


def check_gpu(image: str) -> None:
    """A container of the image sees a GPU: the driver, the container toolkit and the engine agree."""
    command = ["docker", "run", "--rm", "--gpus", "all", "--network", "none", "--entrypoint", "nvidia-smi", image, "-L"]
    seen = subprocess.run(command, capture_output=True, text=True, check=False)
    if seen.returncode == 0 and "GPU" in seen.stdout:
        return
    other = "or train on the processor with -P device=cpu"
    if not Path("/proc/driver/nvidia/version").is_file() and _local():
        raise UserError(f"this machine has no NVIDIA driver: install it, {other}")
    if "could not select device driver" in seen.stderr or "nvidia-container" in seen.stderr:
        cure = "install the NVIDIA container toolkit and restart the engine"
        raise UserError(f"the container engine cannot hand out GPUs: {cure}, {other}")
    last = (seen.stderr or seen.stdout).strip().splitlines()[-1:] or ["no GPU listed"]
    raise UserError(f"a container sees no GPU ({last[0]}): check the driver with nvidia-smi, {other}")


def _local() -> bool:
    return os.environ.get("DOCKER_HOST", "unix:").startswith("unix:")


def _client() -> Any:
    from docker.errors import DockerException

    import docker

    try:
        client: Any = docker.from_env()  # type: ignore[attr-defined] # mypy takes the folder docker/ for it
        client.ping()
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST", "its socket")
        raise UserError(
            f"the container engine does not answer at {where}: start it (systemctl start docker), "
            "check that you are in the group docker, or use -b host"
        ) from error
    return client
