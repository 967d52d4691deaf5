"""One arm of a plan on one split: its pretraining, what its features and latents say, its heads; all of it kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from derm_ml.config import FLOORS, AblateConfig, HeadConfig
from derm_ml.pipelines.arm_run import train_arm
from derm_ml.pipelines.arms import EncoderFiles, build_arm
from derm_ml.pipelines.artefact_probe import artefact_figures
from derm_ml.pipelines.cells import Cells, write_whole
from derm_ml.pipelines.encoder_record import encoder_record
from derm_ml.pipelines.finetune import ArmFactory
from derm_ml.pipelines.plan import Planned
from derm_ml.pipelines.pretrain import build, train
from derm_ml.pipelines.protocols import recipe_of
from derm_ml.pipelines.setup import Setting
from derm_ml.pipelines.vae_scores import VaeScores
from derm_ml.results import ArmRun, Place
from derm_ml.tracking.base import NullTracker, Tracker
from derm_ml.training.trainer import choose_precision

History = list[dict[str, float]]


class Head(NamedTuple):
    """A head to train, by the name under which it is kept."""

    name: str
    place: Place
    seed: int


@dataclass(frozen=True, kw_only=True)
class PlannedArm:
    """An arm on a split.

    Attributes:
        split: the split's seed. places: of the design, where heads are trained.
        folder: the ablation's, with a folder for each of these. cells: where it keeps heads.
        alive: is called between epochs and heads, and raises when this process should stop.
    """

    config: AblateConfig
    planned: Planned
    split: int
    setting: Setting
    places: tuple[Place, ...]
    folder: Path
    cells: Cells
    scores: VaeScores
    alive: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """Of its nested run and its folder."""
        return f"{self.planned.name}-split{self.split}"

    @property
    def unit(self) -> str:
        """Equal for the arms that share its encoder, which one process makes: that of the first of them."""
        return f"{self.planned.encoder}-split{self.split}"

    @property
    def finished(self) -> bool:
        """Everything is kept, and its nested run has ended."""
        return self._whole and not self._open.exists()

    def check(self) -> None:
        """Build its network, so that what does not fit is said before anything is trained.

        Raises:
            UserError: no such network, no weights for it, or parameters that do not fit it.
        """
        if self.planned.kind == "vae":
            build(self.planned.pretraining(self.config, self.split), self.setting, images=1)
        elif self.planned.kind not in FLOORS:
            build_arm(self.planned.kind, self._head, self.setting, self.config.seed, None)

    def kept(self) -> list[ArmRun]:
        """Its heads; none where it is not finished, or the file of one is damaged."""
        runs = [self.cells.get(head.name) for head in self._heads()] if self.finished else []
        return [run for run in runs if run] if all(runs) else []

    def make(self, tracker: Tracker, *, resume: bool) -> list[ArmRun]:
        """Make what is not kept, in a nested run: with `resume` in the one of before, where there is one.

        Raises:
            UserError: bad data or parameters. NonFiniteLoss: a training diverged.
        """
        self._open.parent.mkdir(parents=True, exist_ok=True)
        self._open.touch()
        with tracker.child(self.name, {"arm": self.planned.name, "split": str(self.split)}, resume=resume) as run:
            missing = [head for head in self._heads() if self.cells.get(head.name) is None]
            if missing or not self._whole:
                self._train(missing, run)
            self._log_means(run)
        self._open.unlink()
        return self.kept()

    @property
    def curve(self) -> History:
        """Every epoch's metrics of its pretraining."""
        history: History = json.loads(self._curve.read_text())
        return history

    @property
    def latents(self) -> dict[str, float]:
        """See `VaeScores.of`."""
        found: dict[str, float] = json.loads(self._latents.read_text())
        return found

    @property
    def artefacts(self) -> dict[str, float]:
        """See `artefact_figures`."""
        found: dict[str, float] = json.loads(self._artefacts.read_text())
        return found

    @property
    def _curve(self) -> Path:
        return self.folder / self.unit / "curve.json"

    @property
    def _latents(self) -> Path:
        return self.folder / self.unit / "latents.json"

    @property
    def _artefacts(self) -> Path:
        return self.folder / self.name / "artefacts.json"

    @property
    def _open(self) -> Path:
        """Is there from before its nested run begins until that has ended: not removed when the process is killed."""
        return self.folder / self.name / "open"

    @property
    def _whole(self) -> bool:
        files = [] if self.planned.kind in FLOORS else [self._artefacts]
        files += [self._curve, self._latents] if self.planned.kind == "vae" else []
        return all(file.is_file() for file in files) and all(self.cells.has(head.name) for head in self._heads())

    def _heads(self) -> Iterator[Head]:
        for place in self.places:
            for seed in range(self.config.seed, self.config.seed + self.config.seeds):
                parts = (self.planned.name, place.protocol, place.mode, f"{100 * place.fraction:g}pc")
                yield Head("-".join([*parts, f"split{self.split}", f"seed{seed}"]), place, seed)

    @property
    def _head(self) -> HeadConfig:
        given = {item.name: getattr(self.config, item.name) for item in fields(HeadConfig)}
        given |= {"split_seed": self.split, "features": self.planned.features, "erase": self.planned.erase}
        return HeadConfig(**{**given, "backbone": self.planned.network(self.setting.device)})

    def _train(self, missing: Sequence[Head], run: Tracker) -> None:
        head = self._head
        rows = np.flatnonzero(self.setting.dataset.table["code"] >= 0)
        encoders = {"vae": self._encoder(run)} if self.planned.kind == "vae" else {}
        factory = ArmFactory(head, self.setting, encoders, rows)
        if self.planned.kind not in FLOORS and not self._artefacts.is_file():
            self._probe(factory, run)
        places = dict.fromkeys(each.place for each in missing)
        recipes = {place: recipe_of(factory, self.planned.kind, self.config.seed, place) for place in places}
        for name, place, seed in missing:
            self.alive()
            made = train_arm(factory, self.planned.kind, seed, place, recipes[place], NullTracker())
            self.cells.put(name, replace(made, arm=self.planned.name))

    def _probe(self, factory: ArmFactory, run: Tracker) -> None:
        """What the features say of planted artefacts; kept, since no later step needs the encoder for it."""
        extractor, _ = factory.extractor(self.planned.kind, self.config.seed)
        said = artefact_figures(extractor, self.setting)
        run.log_metrics(said, step=0)
        run.flush()  # what is kept is not measured again, so it is logged by then
        _write(self._artefacts, said)

    def _encoder(self, run: Tracker) -> EncoderFiles:
        """Pretrain, or go on with it, or take the finished one."""
        config, folder = self.planned.pretraining(self.config, self.split), self.folder / self.unit
        history = self.curve if self._curve.is_file() else []

        def keep(epoch: int, metrics: Mapping[str, float]) -> None:
            history[:] = [*(each for each in history if each["epoch"] < epoch), {"epoch": epoch, **metrics}]
            _write(self._curve, history)

        again = folder.name if (folder / "last.safetensors").is_file() else ""
        setting = replace(self.setting, precision=choose_precision(config.precision, self.setting.device))
        trained = train(config, setting, run, folder, record=keep, watch=self._watch, resume=again)
        found = self.latents if self._latents.is_file() else self.scores.of(trained.vae, decodes=config.decodes)
        run.log_metrics({f"latents/{name.replace(' ', '_')}": value for name, value in found.items()}, step=0)
        run.flush()
        _write(self._latents, found)
        record = encoder_record(trained.vae, self.setting, config, trained.metrics, trained.images, folder)
        for path in (record.weights, record.vae):
            run.log_file(path, "encoder")
        run.log_text(record.card, "encoder/README.md")
        return EncoderFiles(record.weights, dict(record.facts), f"{self.planned.name}, split {self.split}", record.vae)

    def _watch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.alive()

    def _log_means(self, run: Tracker) -> None:
        """Of the heads of a place, over their seeds, after their last epoch."""
        runs = [self.cells.get(head.name) for head in self._heads()]
        for place in self.places:
            last = [each.history for each in runs if each and each.place == place]
            text = place.text.replace(", ", "_").replace(" % of the labels", "pc")
            for key in ("val/auroc", "val/loss", "val/accuracy", "gap/loss"):
                run.log_metrics({f"head/{text}/{key}": float(np.mean([each[key][-1] for each in last]))}, step=0)


def _write(path: Path, value: Any) -> None:
    """As JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(value).encode())
