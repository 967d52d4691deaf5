"""The entry points, wired: a configuration, an MLflow run, a pipeline, its figures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from derm_ml.config import AblateConfig, CommonConfig, CompareConfig, FinetuneConfig, PretrainConfig, SearchConfig
from derm_ml.pipelines.arms import EncoderFiles
from derm_ml.progress import note_line
from derm_ml.results import Comparison, VaeSnapshot
from derm_ml.tracking.mlflow import MlflowTracker, attach, open_run


def run(name: str, config: CommonConfig) -> None:
    """Open the run, do the work, publish."""
    if worked_for := os.environ.get("DERM_ML_WORKER_RUN"):
        _work(config, attach(worked_for))
        return
    searches = isinstance(config, SearchConfig) and config.trials > 0
    title = f"{name} search" if searches else name
    grows = isinstance(config, AblateConfig)  # by splits, or is told on the test images
    resume = getattr(config, "resume", "")
    with open_run(config.experiment, title, resume, more=grows) as tracker, _resumable(tracker.run_id):
        if searches:
            from derm_ml.cli import search

            search.run(config, tracker)
        elif isinstance(config, PretrainConfig):
            _pretrain(config, tracker)
        elif isinstance(config, FinetuneConfig):
            _finetune(config, tracker)
        elif isinstance(config, CompareConfig):
            _compare(config, tracker)
        elif isinstance(config, AblateConfig):
            _ablate(config, tracker)


def _work(config: CommonConfig, tracker: MlflowTracker) -> None:
    """In a process that another one has started for its run."""
    if isinstance(config, AblateConfig):
        from derm_ml.pipelines import ablate

        ablate.work(config, tracker, run_folder(tracker.run_id))
    else:
        from derm_ml.cli import search

        search.run(config, tracker, worker=True)


@contextmanager
def _resumable(run_id: str) -> Iterator[None]:
    """Ctrl-C says how to go on, where there is anything to go on from (a search goes on by itself)."""
    try:
        yield
    except KeyboardInterrupt:
        if not run_folder(run_id).is_dir():
            raise
        raise KeyboardInterrupt(
            f"what is finished is kept: give the same command --resume {run_id} (mlflow run: -P resume={run_id})"
        ) from None


def run_folder(run_id: str) -> Path:
    """Where a run keeps its checkpoint: DERM_ML_RUNS, else checkpoints/ in the current directory."""
    return Path(os.environ.get("DERM_ML_RUNS", "checkpoints")) / run_id


def _pretrain(config: PretrainConfig, tracker: MlflowTracker) -> None:
    from derm_ml.pipelines import pretrain
    from derm_ml.report.vae import save_figures

    def publish(snapshot: VaeSnapshot) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for path in save_figures(snapshot, Path(folder)):
                tracker.log_file(path, "figures")

    result = pretrain.run(config, tracker, publish, run_folder(tracker.run_id))
    shown = [name for name in ("val/elbo", "probe/auroc") if name in result.metrics]
    figures = ", ".join(f"{name} {result.metrics[name]:.4f}" for name in shown)
    figures += f" over {result.averaged_over}" * ("probe/auroc" in shown)
    print(f"pretrained: {figures}, {result.images_per_second:.0f} images/s; registered as {result.encoder_uri}")


def resolver(tracker: MlflowTracker, folder: Path):  # type: ignore[no-untyped-def]
    from derm_ml.tracking.registry import resolve_encoder

    def resolve(reference: str) -> EncoderFiles:
        return resolve_encoder(tracker.client, reference, folder)

    return resolve


def _finetune(config: FinetuneConfig, tracker: MlflowTracker) -> None:
    from derm_ml.pipelines import finetune

    with tempfile.TemporaryDirectory() as folder:
        metrics = finetune.run(config, tracker, resolver(tracker, Path(folder)), run_folder(tracker.run_id))
    shown = ("val/loss", "val/auroc", "gap/loss")
    recalls = {split: {name for name in metrics if name.startswith(f"{split}/recall/")} for split in ("train", "val")}
    classes = {name.partition("/")[2] for names in recalls.values() for name in names}
    told = ", ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)
    lacking = len(recalls["val"]) < len(classes)
    print(f"finetuned: {told}" + f"; averages over {len(recalls['val'])} of {len(classes)} classes" * lacking)


def _compare(config: CompareConfig, tracker: MlflowTracker) -> None:
    from derm_ml.pipelines import compare
    from derm_ml.report.html import told, write_report
    from derm_ml.report.latents import save_latents
    from derm_ml.tracking.encoders import RegisteredEncoders

    with tempfile.TemporaryDirectory() as folder:
        encoders = RegisteredEncoders(tracker.client, Path(folder))
        comparison = compare.run(config, tracker, encoders, run_folder(tracker.run_id))
    target = Path(os.environ.get("DERM_ML_REPORTS", "reports")) / tracker.run_id
    note_line(f"{len(comparison.runs)} runs are done; writing the report")
    latents = save_latents(comparison.latents, target) if comparison.latents else None
    report, answer, table = write_report(comparison, target, latents)
    for path in sorted(report.parent.iterdir()):
        tracker.log_file(path, "report")
    print(told(answer, table, comparison.averaged_over))
    if config.erase != "none":
        print(f"features of all encoders: {comparison.readout}")
    print(_promotion(comparison, tracker))
    print(f"report: {report.absolute()}")


def _ablate(config: AblateConfig, tracker: MlflowTracker) -> None:
    from derm_ml.pipelines import ablate
    from derm_ml.report.ablation import write_ablation

    ablation = ablate.run(config, tracker, run_folder(tracker.run_id))
    target = Path(os.environ.get("DERM_ML_REPORTS", "reports")) / tracker.run_id
    text = write_ablation(ablation, target)
    for path in sorted(target.iterdir()):
        tracker.log_file(path, "report")
    print(text)
    print(f"report: {target.absolute()}")


def _promotion(comparison: Comparison, tracker: MlflowTracker) -> str:
    """Move `champion` where the rule says so; what was decided, in a line."""
    from derm_ml.tracking.promotion import NAME, alias, decide
    from derm_ml.verdict.evidence import evidence_of

    evidence = evidence_of(comparison, tracker.run_id)
    if evidence is None or not evidence.challenger.startswith("models:/"):
        held = alias(tracker.client, "champion")
        if held and comparison.splits[0].encoder == f"models:/{NAME}/{held.version}":
            return f"champion: {comparison.splits[0].encoder}, the encoder that was compared"
        return "champion: unchanged (no other registered encoder of this data and split was compared with it)"
    decision = decide(tracker.client, evidence)
    tracker.set_tags({"promotion": decision.reason})
    return f"champion: {'moved to' if decision.promoted else 'not'} {evidence.challenger}: {decision.reason}"
