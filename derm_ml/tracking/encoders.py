"""The registry as the pipelines see it: `pipelines.design.Encoders`."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from derm_ml.pipelines.arms import EncoderFiles
from derm_ml.tracking.promotion import NAME, alias
from derm_ml.tracking.registry import find_encoder, resolve_encoder


class RegisteredEncoders:
    """Encoders of one tracking server; downloads go into a folder of the caller's.

    Args:
        folder: an own subfolder is made for each reference.
    """

    def __init__(self, client: MlflowClient, folder: Path) -> None:
        self.client, self.folder = client, folder

    def find(
        self, backbone: str, size: int, fingerprint: str, split_id: str, *, plain: bool = False, method: str = ""
    ) -> str:
        """The best one pretrained on exactly this data and split; see `find_encoder`.

        Raises:
            NoEncoder: there is none.
        """
        return find_encoder(self.client, backbone, size, fingerprint, split_id, plain=plain, method=method)

    def champion(self, size: int, fingerprint: str, split_id: str) -> str:
        """The champion where it was pretrained on this data and split at this size, else empty."""
        version = alias(self.client, "champion")
        wanted = {"image_size": str(size), "data.fingerprint": fingerprint, "data.split": split_id}
        if version is None or any(version.tags.get(key) != value for key, value in wanted.items()):
            return ""
        return f"models:/{NAME}/{version.version}"

    def resolve(self, reference: str) -> EncoderFiles:
        """Its files, checked by SHA-256.

        Raises:
            UserError: nothing there, or damaged.
        """
        return resolve_encoder(self.client, reference, self.folder / reference.replace("/", "_").replace(":", "_"))
