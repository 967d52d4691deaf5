"""Artifacts through the server only: clients need not reach the store, nor hold its keys."""

from __future__ import annotations

from typing import Any

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository


class ProxiedStore(ArtifactRepository):  # type: ignore[misc]
    """MLflow's S3 repository without its presigned and multipart offers.

    MLflow's server offers every client URLs of the store itself as soon as its repository can make them, also
    when it proxies artifacts: a client outside the service's network is then sent to a host that it cannot
    resolve, and retries for minutes. Held inside instead of inherited, the repository's other abilities are not
    seen, so the server says that it has none, and clients of every MLflow version stay with the proxy.
    """

    def __init__(self, artifact_uri: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(artifact_uri, *args, **kwargs)
        self._store = S3ArtifactRepository(artifact_uri, *args, **kwargs)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Upload one file."""
        self._store.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Upload a directory."""
        self._store.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> Any:
        """One level, with sizes."""
        return self._store.list_artifacts(path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._store._download_file(remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file or all below a directory."""
        self._store.delete_artifacts(artifact_path)
