"""The tracker boundary: pipelines talk to this protocol and never to MLflow (STYLE: one sink logs)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class DatasetRecord:
    """What the tracker records of the data: one input for each split, all with the data's fingerprint."""

    name: str
    source: str
    fingerprint: str  # hex SHA-256 over the content of the images and their labels
    split_id: str  # hex SHA-256 of the split table: equal means the very same split
    table: pd.DataFrame  # image_id, label (name or ""), group, split
    counts: Mapping[str, int]  # images a split: train, val, test


@dataclass(frozen=True, kw_only=True)
class EncoderRecord:
    """A finished encoder, ready to be logged and registered: plain files and facts, no live objects of ours."""

    module: Any  # torch.nn.Module: float images [b, 3, s, s] in [0, 1] -> features [b, d]
    example: Any  # torch.Tensor [2, 3, s, s], the input example
    weights: Path  # safetensors: the backbone under timm's own names, metadata = preprocessing
    vae: Path  # safetensors: the whole VAE, for its latents and its decoder
    card: str  # the model card, Markdown
    preprocessing: Mapping[str, Any]  # size, mean, std, channel_order, range
    facts: Mapping[str, str]  # tags of the version: backbone, data fingerprint, split id, objective ...
    score: float  # what champion is chosen by: higher is better (validation, never test)
    score_name: str  # its metric name, e.g. "probe/auroc"


class Tracker(Protocol):
    """A run being recorded. Every write is about this run; ending it is its owner's business."""

    @property
    def run_id(self) -> str: ...

    def log_params(self, params: Mapping[str, object]) -> None:
        """Resolved configuration, under dotted keys such as `train.lr`."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """May be kept back for a moment; see `flush`."""

    def flush(self) -> None:
        """Write everything that is waiting, now. The end of a run does so too."""

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def log_file(self, path: Path, folder: str = "") -> None: ...

    def log_text(self, text: str, name: str) -> None:
        """`text` as the artifact `name` (a path such as `report/summary.md`)."""

    def log_dataset(self, record: DatasetRecord) -> None: ...

    def log_encoder(self, record: EncoderRecord) -> str:
        """Log and register the encoder; returns its URI, `models:/derm-encoder/3` say."""

    def fetch_file(self, name: str, folder: Path) -> Path:
        """Download the artifact `name` into a folder; returns where it is."""

    def child(
        self, name: str, tags: Mapping[str, str] | None = None, *, resume: bool = False
    ) -> AbstractContextManager[Tracker]:
        """A nested run, FINISHED when the block ends and FAILED (or KILLED on Ctrl-C) when it raises.

        Args:
            resume: go on in the nested run of this name, where there is one.
        """

    def join(self, run_id: str) -> Tracker:
        """Another run, which this one works for; open again if it had ended. `close` ends it.

        Raises:
            UserError: the tracking server does not know it.
        """

    def close(self, status: str) -> None:
        """End a run that was joined: FINISHED, FAILED or KILLED."""


class NullTracker:
    """Records nothing."""

    run_id = "none"

    def log_params(self, params: Mapping[str, object]) -> None: ...
    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...
    def flush(self) -> None: ...
    def set_tags(self, tags: Mapping[str, str]) -> None: ...
    def log_file(self, path: Path, folder: str = "") -> None: ...
    def log_text(self, text: str, name: str) -> None: ...
    def log_dataset(self, record: DatasetRecord) -> None: ...

    def log_encoder(self, record: EncoderRecord) -> str:
        return str(record.weights)

    def fetch_file(self, name: str, folder: Path) -> Path:
        raise FileNotFoundError(name)

    def child(
        self, name: str, tags: Mapping[str, str] | None = None, *, resume: bool = False
    ) -> AbstractContextManager[Tracker]:
        return nullcontext(self)

    def join(self, run_id: str) -> Tracker:
        return self

    def close(self, status: str) -> None: ...


@dataclass
class RecordingTracker:
    """Keeps every call in memory, in order: for tests."""

    run_id: str = "recording"
    calls: list[tuple[str, Any]] = field(default_factory=list)
    children: list[RecordingTracker] = field(default_factory=list)

    def log_params(self, params: Mapping[str, object]) -> None:
        self.calls.append(("params", dict(params)))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.calls.append(("metrics", (step, dict(metrics))))

    def flush(self) -> None:
        """Nothing waits here."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.calls.append(("tags", dict(tags)))

    def log_file(self, path: Path, folder: str = "") -> None:
        self.calls.append(("file", f"{folder}/{path.name}" if folder else path.name))

    def log_text(self, text: str, name: str) -> None:
        self.calls.append(("text", (name, text)))

    def log_dataset(self, record: DatasetRecord) -> None:
        self.calls.append(("dataset", record))

    def log_encoder(self, record: EncoderRecord) -> str:
        self.calls.append(("encoder", record))
        return str(record.weights)

    def fetch_file(self, name: str, folder: Path) -> Path:
        raise FileNotFoundError(name)

    def child(
        self, name: str, tags: Mapping[str, str] | None = None, *, resume: bool = False
    ) -> AbstractContextManager[Tracker]:
        run = RecordingTracker(run_id=f"{self.run_id}/{name}")
        run.set_tags({"name": name, **(tags or {})})
        self.children.append(run)
        return nullcontext(run)

    def join(self, run_id: str) -> Tracker:
        self.calls.append(("join", run_id))
        return self

    def close(self, status: str) -> None:
        self.calls.append(("close", status))

    def metric(self, name: str) -> list[float]:
        """Every value of one metric, in the order it was logged."""
        return [row[1][name] for kind, row in self.calls if kind == "metrics" and name in row[1]]
