"""`make demo`: the three entry points as a user types them, through `mlflow run . -b host`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from derm_ml.errors import UserError
from derm_ml.tracking.server import tracking_uri

EXPERIMENT = "demo"


def demo(data: str) -> None:
    """Pretrain, finetune every arm, compare; then say where everything is.

    Raises:
        UserError: a step failed; it has said why.
    """
    project = Path(__file__).resolve().parents[2]
    if not (project / "MLproject").is_file():
        raise UserError(f"{project}: no MLproject here: run the demo from a clone of the repository")
    spec = str(Path(data).absolute()) if Path(data).exists() else data
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri()
    _step(project, "pretrain", spec)
    encoder = _latest_encoder()
    for arm in (encoder, "imagenet", "random", "pixels", "majority"):
        _step(project, "finetune", spec, encoder=arm)
    _step(project, "compare", spec, encoder=encoder)
    print(f"encoder: {encoder} (models:/derm-encoder@champion is the best so far)")
    print(f"look: {Path(sys.executable).parent / 'mlflow'} ui --backend-store-uri {os.environ['MLFLOW_TRACKING_URI']}")


def _step(project: Path, entry_point: str, data: str, **parameters: str) -> None:
    command = [sys.executable, "-m", "mlflow", "run", str(project), "-e", entry_point, "-b", "host"]
    command += ["--experiment-name", EXPERIMENT]
    for key, value in {"data": data, **parameters}.items():
        command += ["-P", f"{key}={value}"]
    print("$ mlflow " + " ".join(command[3:]), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise UserError(f"the demo stopped: {entry_point} failed, its message is above")


def _latest_encoder() -> str:
    from derm_ml.tracking.runs import connect

    versions = connect().search_model_versions("name='derm-encoder'")
    return f"models:/derm-encoder/{max(int(version.version) for version in versions)}"
