"""What is measured while a VAE trains: the ELBO's parts, the views, a frozen probe, and which weights were best."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from derm_ml.config import PretrainConfig
from derm_ml.data.augmentation import Augmentation
from derm_ml.errors import UserError
from derm_ml.models.vae import ConvVae
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.pipelines.features import probe
from derm_ml.pipelines.setup import Setting
from derm_ml.seeding import torch_generator
from derm_ml.training.evaluation import elbo_metrics, evaluate_elbo

EVALUATED = 2048  # training images, drawn once, on which the training side of the gap is measured
VIEWED = 512  # validation images at most whose views are held against each other


class Monitor:
    """Measures one VAE on its data; the same images and the same noise every time.

    Args:
        trained: rows of the data's training images that it is trained on.
    """

    def __init__(self, config: PretrainConfig, setting: Setting, objective: ElboObjective, trained: np.ndarray) -> None:
        self.config, self.setting, self.objective = config, setting, objective
        self.seen = fixed_subsample(trained, config.seed)
        self.val = setting.dataset.rows("val")

    def every_epoch(self) -> dict[str, float]:
        """Both sides' ELBO in its parts, the gap of the loss, active units, the decoder's scale.

        Where nothing is decoded there is no ELBO: the rate and the active units are left.
        """
        train, _ = evaluate_elbo(self.objective, self.setting.batches(self.seen), self.setting.precision)
        val, means = evaluate_elbo(self.objective, self.setting.batches(self.val), self.setting.precision)
        measured = elbo_metrics(train, val, means)
        if self.objective.likelihood is None:
            return {name: measured[name] for name in ("train/rate", "val/rate", "active_units")}
        return measured | {"sigma": float(self.objective.model.log_sigma.detach().exp())}

    def now_and_then(self) -> dict[str, float]:
        """The frozen probe on validation, and how views of validation images lie."""
        measured = probe(self.objective.model.encoder, self.setting, self.config.batch_size, self.config.seed)
        return measured | self._views()

    @torch.no_grad()
    def _views(self) -> dict[str, float]:
        """Alignment and uniformity of the posterior means, with light augmentation whatever the training's is."""
        model = self.objective.model.eval()
        rows = self.val[np.linspace(0, len(self.val) - 1, min(VIEWED, len(self.val))).astype(int)]
        generator = torch_generator(0, "views")
        pairs = []
        for images, _ in self.setting.batches(rows):
            views = Augmentation(generator, crop=0.5, views=2)(images)
            with self.setting.precision.context():
                pairs.append(model.summary(model.encode(views).mean.float()).chunk(2))
        first, second = (torch.cat(side) for side in zip(*pairs, strict=True))
        return {"alignment": alignment(first, second), "uniformity": uniformity(first)}


def alignment(first: Tensor, second: Tensor) -> float:
    """Mean squared distance of two views' directions, [n, c] each; 0 is perfect, 2 is that of strangers.

    Wang and Isola, Understanding Contrastive Representation Learning, arXiv 2005.10242, section 4.1, alpha = 2.
    """
    return float((normalize(first, dim=1) - normalize(second, dim=1)).square().sum(dim=1).mean())


def uniformity(z: Tensor) -> float:
    """log of the mean of exp(-2 d^2) over pairs of different images' directions, [n, c]; 0 is a collapse, -4 uniform.

    Wang and Isola, section 4.1, t = 2.
    """
    if len(z) < 2:
        return 0.0
    return float(torch.pdist(normalize(z, dim=1)).square().mul(-2).exp().mean().log())


class Best:
    """The best weights so far by the criterion, on disk: probe/auroc where it is measured, else val/elbo.

    Args:
        keep: `best` gives them back at the end; `last` writes nothing.
        patience: measurements without a better one after which training should stop; 0: never.
    """

    def __init__(self, path: Path, keep: str, patience: int) -> None:
        self.path, self.keep, self.patience = path, keep, patience
        self.metrics: dict[str, float] = {}
        self.waited = 0

    @property
    def exhausted(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self.patience <= self.waited

    def offer(self, vae: ConvVae, metrics: Mapping[str, float]) -> None:
        """Keep these weights if they are better."""
        from safetensors.torch import save_file

        if self.keep != "best":
            return
        criterion = "probe/auroc" if "probe/auroc" in metrics else "val/elbo"
        if self.metrics and metrics[criterion] <= self.metrics[criterion]:
            self.waited += 1
            return
        self.metrics, self.waited = dict(metrics), 0
        partial = self.path.with_suffix(".partial")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: value.detach().cpu().contiguous() for key, value in vae.state_dict().items()}, partial)
        partial.replace(self.path)

    def facts(self) -> dict[str, object]:
        """For the checkpoint."""
        return {"best": self.metrics, "waited": self.waited}

    def go_on(self, facts: Mapping[str, object]) -> None:
        """As `facts` left it.

        Raises:
            UserError: the best weights are gone.
        """
        self.metrics = dict(facts.get("best") or {})  # type: ignore[call-overload]
        self.waited = int(facts.get("waited") or 0)  # type: ignore[call-overload]
        if self.metrics and not self.path.is_file():
            raise UserError(f"{self.path}: the best weights so far are gone: start anew")

    def restore(self, vae: ConvVae) -> dict[str, float]:
        """Put the best weights into the VAE; returns their metrics, none where the last ones are kept."""
        from safetensors.torch import load_file

        if self.metrics:
            vae.load_state_dict(load_file(self.path))
        return self.metrics


def fixed_subsample(rows: np.ndarray, seed: int) -> np.ndarray:
    """At most EVALUATED rows, the same at every epoch."""
    chosen = torch.randperm(len(rows), generator=torch_generator(seed, "evaluated"))[:EVALUATED].numpy()
    return np.sort(rows[chosen])
