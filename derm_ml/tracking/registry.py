"""The registry: a version of `derm-encoder` for every pretraining, its files and how it is found again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.exceptions import MlflowException

from derm_ml.errors import NoEncoder, UserError
from derm_ml.pipelines.arms import EncoderFiles
from derm_ml.tracking.base import EncoderRecord
from derm_ml.tracking.promotion import NAME, enter

WEIGHTS = "encoder.safetensors"
VAE = "vae.safetensors"


def register_encoder(client: MlflowClient, run: Run, record: EncoderRecord) -> str:
    """Save as pt2 (any batch size) beside the safetensors, upload all of it, then register.

    Returns:
        `models:/derm-encoder/N`.
    """
    with tempfile.TemporaryDirectory(prefix="derm-ml-") as temporary:
        folder = Path(temporary) / "model"
        _save(folder, record)
        model = client.create_logged_model(
            run.info.experiment_id, name="encoder", source_run_id=run.info.run_id, tags=dict(record.facts)
        )
        try:
            client.log_model_artifacts(model.model_id, str(folder))
        except BaseException:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
            raise
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        client.log_outputs(run.info.run_id, models=[LoggedModelOutput(model.model_id, step=0)])
    try:
        client.create_registered_model(NAME, description="Encoders pretrained on dermatology images alone.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    score = {"score": repr(record.score), "score.name": record.score_name}
    version = client.create_model_version(
        NAME,
        source=f"models:/{model.model_id}",
        run_id=run.info.run_id,
        tags={**record.facts, **score},
        description=record.card,
        model_id=model.model_id,
    )
    enter(client, version)
    return f"models:/{NAME}/{version.version}"


def _save(folder: Path, record: EncoderRecord) -> None:
    import torch
    from mlflow.models import infer_signature

    with torch.no_grad():
        features = record.module(record.example)
    example = record.example.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns of its own internals
        mlflow.pytorch.save_model(
            record.module,
            str(folder),
            serialization_format="pt2",
            signature=infer_signature(example, features.numpy()),
            input_example=example,
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "numpy", "mlflow"],
            metadata={"preprocessing": dict(record.preprocessing), **record.facts},
        )
    shutil.copy(record.weights, folder / WEIGHTS)
    shutil.copy(record.vae, folder / VAE)
    (folder / "preprocessing.json").write_text(json.dumps(dict(record.preprocessing), indent=1))
    (folder / "README.md").write_text(record.card)
    (folder / "SHA256SUMS").write_text("".join(f"{_sha256(folder / name)}  {name}\n" for name in (WEIGHTS, VAE)))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_encoder(
    client: MlflowClient,
    backbone: str,
    size: int,
    fingerprint: str,
    split_id: str,
    *,
    plain: bool = False,
    method: str = "",
) -> str:
    """The best-scoring version pretrained on exactly this data and split.

    Args:
        backbone: its architecture; empty: any.
        plain: plain VAEs only; versions of before there was anything else have no tag that says so.
        method: what pretrained it; empty: any.

    Raises:
        NoEncoder: the message has the command that makes one.
    """
    every = [
        version
        for version in client.search_model_versions(f"name='{NAME}'")
        if version.tags.get("data.fingerprint") == fingerprint
        and version.tags.get("data.split") == split_id
        and backbone in ("", version.tags.get("backbone"))
        and (not plain or version.tags.get("recipe", "plain") == "plain")
        and method in ("", version.tags.get("method"))
    ]
    found = [version for version in every if version.tags.get("image_size") == str(size)]
    if not found:
        sizes = sorted({int(version.tags["image_size"]) for version in every})
        others = f" (at {', '.join(map(str, sizes))} px there is: image_size={sizes[0]})" if sizes else ""
        kind = " ".join(filter(None, ["plain" * plain, method, backbone, "encoder"]))
        given = (
            f" -P backbone={backbone}" * bool(backbone)
            + " -P invariance=none -P crop=1 -P augment=1 -P artefacts=0" * plain
        )
        raise NoEncoder(
            f"no {kind} at {size} px is registered for this data and split{others}: run "
            f"`mlflow run . -e pretrain{given}` with the same data first, or give encoder=models:/..., runs:/ID or a "
            "file"
        )
    best = max(found, key=lambda version: float(version.tags.get("score", "-inf")))
    return f"models:/{NAME}/{best.version}"


def resolve_encoder(client: MlflowClient, reference: str, folder: Path) -> EncoderFiles:
    """The weights behind `models:/...`, `runs:/ID` or a safetensors file; downloads are checked by SHA-256.

    Raises:
        UserError: nothing there, or damaged.
    """
    if not reference.startswith(("models:/", "runs:/")):
        return _from_file(Path(reference))
    uri, version = reference, None
    try:
        if reference.startswith("runs:/"):
            run_id = reference.removeprefix("runs:/").split("/")[0]
            versions = client.search_model_versions(f"run_id='{run_id}'")
            best = client.get_run(run_id).data.tags.get("best.encoder", "")  # of a search: its best trial's
            if not versions and not best:
                raise UserError(f"encoder={reference}: no registered encoder came out of this run")
            version = versions[0] if versions else _version(client, best.removeprefix("models:/"))
        else:
            version = _version(client, reference.removeprefix("models:/"))
        uri = f"models:/{version.name}/{version.version}"
        folder.mkdir(parents=True, exist_ok=True)
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except MlflowException as error:
        raise UserError(f"encoder={reference}: not found on this tracking server ({error.error_code})") from error
    sums = (local / "SHA256SUMS").read_text().splitlines() if (local / "SHA256SUMS").is_file() else []
    expected = {name: digest for digest, name in (line.split(maxsplit=1) for line in sums)}
    for name in (WEIGHTS, *expected):
        if not (local / name).is_file() or _sha256(local / name) != expected.get(name):
            raise UserError(f"encoder={reference}: {name} is missing or does not match its SHA-256: it is damaged")
    return EncoderFiles(local / WEIGHTS, dict(version.tags), uri, local / VAE if VAE in expected else None)


def _version(client: MlflowClient, path: str) -> Any:
    if "@" in path:
        return client.get_model_version_by_alias(*path.split("@", 1))
    name, _, number = path.partition("/")
    if number in ("", "latest"):
        versions = client.search_model_versions(f"name='{name}'")
        if not versions:
            raise UserError(f"encoder=models:/{path}: no version of {name} is registered")
        return max(versions, key=lambda version: int(version.version))
    return client.get_model_version(name, number)


def _from_file(path: Path) -> EncoderFiles:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(
            f"encoder={path}: no such file, and not imagenet, random, pixels, majority, models:/... or runs:/ID"
        )
    try:
        with safe_open(path, framework="pt") as file:
            facts = dict(file.metadata() or {})
    except SafetensorError as error:
        raise UserError(f"encoder={path}: not a safetensors file ({error})") from error
    return EncoderFiles(path, facts, str(path))
