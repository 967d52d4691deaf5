"""Garbage collection: deleted runs are freed, but for what a registered version or its alias needs.

`mlflow gc` does not look at the registry, and leaves the models of the runs that it frees.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from derm_ml.service.settings import Settings

DAY = 24 * 3600 * 1000  # milliseconds


def collect(settings: Settings, older_than_days: int, *, dry_run: bool) -> dict[str, Any]:
    """Free deleted runs, their unregistered models, then deleted experiments that are empty.

    Returns:
        `freed` and `kept`, lists of run IDs; `models`, of freed model IDs; `experiments`, of freed experiment IDs.
    """
    from mlflow.entities import ViewType
    from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store

    tracking: Any = _get_tracking_store(settings.database)
    registry = _get_model_registry_store(settings.database)
    runs_needed, models_needed = _needed(registry, tracking)
    age = older_than_days * DAY
    deleted = tracking._get_deleted_runs(older_than=age)
    freed = [run_id for run_id in deleted if run_id not in runs_needed]
    models = [row for row in _models(tracking, set(freed)) if row.model_id not in models_needed]
    if not dry_run:
        for model in models:
            _delete_objects(settings, model.artifact_location)
            tracking._hard_delete_logged_model(model.model_id)
        for run_id in freed:
            _delete_objects(settings, tracking.get_run(run_id).info.artifact_uri)
            tracking._hard_delete_run(run_id)
    experiments = []
    for experiment in _pages(tracking.search_experiments, view_type=ViewType.DELETED_ONLY, max_results=1000):
        ids = [experiment.experiment_id]
        left = {run.info.run_id for run in _pages(tracking.search_runs, ids, "", ViewType.ALL, max_results=1000)} - set(
            freed
        )
        held = {model.model_id for model in _pages(tracking.search_logged_models, ids)} - {
            row.model_id for row in models
        }
        if not left and not held:
            experiments.append(experiment.experiment_id)
            if not dry_run:
                tracking._hard_delete_experiment(experiment.experiment_id)
    kept = sorted(set(deleted) - set(freed))
    return {"freed": freed, "kept": kept, "models": [row.model_id for row in models], "experiments": experiments}


def _needed(registry: Any, tracking: Any) -> tuple[set[str], set[str]]:
    """The runs and logged models that registered versions came from."""
    runs, models = set[str](), set[str]()
    for version in _pages(registry.search_model_versions, "", max_results=1000):
        runs.add(version.run_id or "")
        source = str(version.source or "")
        if source.startswith("models:/m-"):
            models.add(source.removeprefix("models:/").split("/")[0])
        if source.startswith("runs:/"):
            runs.add(source.removeprefix("runs:/").split("/")[0])
        # a source may also name the artifacts themselves: .../RUN_ID/artifacts/...
        runs |= set(urlsplit(source).path.split("/"))
    for model_id in models:
        runs.add(tracking.get_logged_model(model_id, allow_deleted=True).source_run_id or "")
    return runs, models


def _models(tracking: Any, runs: set[str]) -> list[Any]:
    """The logged models of these runs."""
    from mlflow.entities import ViewType

    ids = [each.experiment_id for each in _pages(tracking.search_experiments, view_type=ViewType.ALL, max_results=1000)]
    return [model for model in _pages(tracking.search_logged_models, ids) if model.source_run_id in runs]


def _pages(search: Any, *arguments: Any, **options: Any) -> Any:
    token = None
    while True:
        page = search(*arguments, **options, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _delete_objects(settings: Settings, uri: str) -> None:
    """Delete what lies below `mlflow-artifacts:/PATH`, straight in the store."""
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    path = urlsplit(uri).path.strip("/")
    if uri.startswith("mlflow-artifacts:") and path:
        S3ArtifactRepository(f"s3://{settings.bucket}/{path}").delete_artifacts()
