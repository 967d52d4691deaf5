"""The search over pretraining: beta, learning rate and what else the space names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from derm_ml.config import PretrainConfig
from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder, choose_own_backbone
from derm_ml.models.pretrained import load_vae
from derm_ml.pipelines.encoder_record import encoder_record
from derm_ml.pipelines.images import training_images
from derm_ml.pipelines.pretrain import Trained, Watch, train
from derm_ml.pipelines.setup import Setting
from derm_ml.progress import note_line
from derm_ml.search.space import Params, Range, parse_space
from derm_ml.search.study import Goal
from derm_ml.tracking.base import NullTracker, Tracker

# None of them depends on the trial's own beta: ELBOs at different betas cannot be compared.
GOALS = {
    "auroc": (Goal("probe/auroc", "maximize"),),
    "elbo": (Goal("val/elbo", "maximize"),),
    "auroc,gap": (Goal("probe/auroc", "maximize"), Goal("probe/gap", "minimize")),
}
KEPT_IN = "encoder"  # the folder of a trial's artifacts


class PretrainTask:
    """One pretraining with given parameters; everything else as configured.

    Raises:
        UserError: an impossible space, or a goal that needs labels where there are none.
    """

    entry = "pretrain"

    def __init__(self, config: PretrainConfig, setting: Setting) -> None:
        self.config, self.setting = replace(config, trials=0, hours=0, study="", workers=1), setting
        self.goals: tuple[Goal, ...] = GOALS[chosen_goal(config, setting)]
        self.space: Mapping[str, Range] = parse_space(config)
        self.epochs = config.epochs
        if "beta" in self.space and not config.decodes:
            raise UserError("space=beta: beta weighs nothing with likelihood=none: give space=lr")
        if "beta" in self.space and config.kl_warmup >= config.epochs and not config.kl_cycles:
            reason = f"kl_warmup={config.kl_warmup} is not shorter than epochs={config.epochs}"
            note_line(f"{reason}: no trial's beta reaches its value")
        self._last: tuple[PretrainConfig, Trained] | None = None

    def train(self, params: Params, run: Tracker, folder: Path, watch: Watch, again: bool) -> Mapping[str, float]:
        """`pipelines.pretrain.train`, without pictures."""
        config = self._with(params)
        trained = train(config, self.setting, run, folder, watch=watch, resume=folder.name if again else "")
        self._last = config, trained
        return trained.metrics

    def keep(self, run: Tracker, folder: Path) -> None:
        """The VAE's weights, as an artifact of the trial's run: any worker on any machine can register them."""
        assert self._last is not None
        config, trained = self._last
        record = encoder_record(trained.vae, self.setting, config, trained.metrics, trained.images, folder)
        run.log_file(record.vae, KEPT_IN)
        for path in (record.vae, record.weights):
            path.unlink()

    def register(self, params: Params, metrics: Mapping[str, float], run: Tracker, folder: Path) -> str:
        """The encoder, out of the weights that `keep` logged."""
        config = self._with(params)
        encoder = build_encoder(
            choose_own_backbone(config.backbone, self.setting.device), config.image_size, config.seed
        )
        vae = load_vae(encoder, run.fetch_file(f"{KEPT_IN}/vae.safetensors", folder))
        chosen = training_images(config, self.setting, NullTracker())
        return run.log_encoder(encoder_record(vae, self.setting, config, metrics, chosen, folder))

    def _with(self, params: Params) -> PretrainConfig:
        return replace(self.config, **params)  # type: ignore[arg-type]


def chosen_goal(config: PretrainConfig, setting: Setting) -> str:
    """`auto` is the probe's AUROC where training and validation images have labels, else the ELBO at beta = 1.

    Raises:
        UserError: auroc was asked for and there are no labels.
    """
    labelled = setting.dataset.labelled
    if config.objective == "auto":
        return "auroc" if labelled else "elbo"
    if "auroc" in config.objective and not labelled:
        raise UserError(f"objective={config.objective} needs labels for training and validation images: give elbo")
    return config.objective
