"""What a run was made with: its source, its machine, its packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path


def source_tags() -> dict[str, str]:
    """MLflow's tags of a run that `mlflow run` did not make: who started it, from which commit where there is one."""
    tags = {"mlflow.source.type": "LOCAL", "mlflow.source.name": "derm-ml", "mlflow.user": os.environ.get("USER", "")}
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        tags["mlflow.source.git.commit"] = commit
    return tags


def environment() -> str:
    """The Python, the machine and every installed package with its version, a line each."""
    packages = sorted({f"{each.name}=={each.version}" for each in importlib.metadata.distributions()}, key=str.lower)
    facts = [f"# Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} CPUs", *packages]
    return "\n".join(facts) + "\n"
