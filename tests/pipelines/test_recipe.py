"""What a recipe asks for reaches its part, and what is said of a training is of that training."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from derm_ml.config import PretrainConfig
from derm_ml.data.dataset import prepare
from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae
from derm_ml.objectives.corruption import Corruption
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.objectives.invariances.vicreg import vicreg
from derm_ml.objectives.likelihoods.laplace import laplace
from derm_ml.objectives.regularisers.capacity import AnnealedCapacity
from derm_ml.objectives.regularisers.kl import BetaKl
from derm_ml.objectives.regularisers.tc import BetaTotalCorrelation
from derm_ml.objectives.views import TwoViewObjective
from derm_ml.pipelines import features, pretrain
from derm_ml.pipelines.images import training_images
from derm_ml.pipelines.monitor import Monitor
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.tracking.base import NullTracker, RecordingTracker
from derm_ml.training.trainer import Precision, Trainer

GIVEN = {"data": "synthetic:n=80,size=32,seed=0", "image_size": 32, "backbone": "test_efficientnet", "latent_dim": 4}
ALONE = {"invariance": "none"}


@pytest.fixture(scope="module")
def setting():
    device = torch.device("cpu")
    return Setting(prepare(GIVEN["data"], 32, 0), device, Precision(device))


def objective(**given):
    return pretrain.objective_of(PretrainConfig(**given), ConvVae(build_encoder("test_efficientnet", 32, 0), 4), 64)


def test_every_parameter_reaches_its_part():
    both = objective(
        **{"noise": 0.1, "mask": 0.5, "regulariser": "capacity", "beta": 3.0, "capacity": 7.0, "kl_warmup": 2},
        **{"likelihood": "laplace", "invariance": "vicreg", "invariance_weight": 0.5},
    )
    assert isinstance(both, TwoViewObjective)
    assert (both.invariance, both.weight) == (vicreg, 0.5)
    assert (both.elbo.likelihood, both.elbo.corruption) == (laplace, Corruption(mask=0.5, noise=0.1))
    assert both.elbo.regulariser == AnnealedCapacity(gamma=3.0, capacity=7.0)
    assert [both.elbo.annealing(epoch) for epoch in (0, 1, 2, 12)] == [0, 0.5, 1, 1]
    alone = objective(**ALONE, beta=2.0, free_bits=0.3, epochs=12, kl_cycles=3)
    assert isinstance(alone, ElboObjective)
    assert alone.regulariser == BetaKl(2.0, 0.3)
    assert [alone.annealing(epoch) for epoch in (0, 1, 2, 4, 5, 6, 12)] == [0, 0.5, 1, 0, 0.5, 1, 1]
    assert objective(**ALONE, regulariser="tc", beta=6.0).regulariser == BetaTotalCorrelation(6.0, images=64)


def test_without_a_decoder_no_elbo_is_told_and_only_the_encoder_learns(setting, tmp_path):
    config = PretrainConfig(**GIVEN, epochs=1, likelihood="none", beta=0.0)
    trained = pretrain.train(config, setting, NullTracker(), tmp_path)
    told = set(trained.metrics)
    assert {"train/invariance", "train/rate", "val/rate", "active_units", "probe/auroc", "alignment"} <= told
    assert not told & {"val/elbo", "val/loss", "val/distortion", "train/loss", "gap/loss", "sigma"}
    assert not any(parameter.requires_grad for parameter in trained.vae.decoder.parameters())


def test_the_invariance_is_logged_as_the_mean_over_what_was_seen(setting, tmp_path):
    config = PretrainConfig(**GIVEN, epochs=1, lr=0.0, weight_decay=0.0, batch_size=32)
    tracker = RecordingTracker()
    trained = pretrain.train(config, setting, tracker, tmp_path)
    logged = [value[1]["train/invariance"] for kind, value in tracker.calls if kind == "metrics"]
    chosen = training_images(config, setting, NullTracker())
    vae, trainer = pretrain.build(config, setting, len(chosen.rows))
    vae.train()
    total = 0.0
    for images, rows in pretrain.training_batches(config, setting, chosen, 0):
        total += float(trainer.objective(images, rows, 0.0, torch.Generator()).sums["invariance"])
    assert logged == [pytest.approx(total / len(chosen.rows), rel=1e-4)]
    assert trained.metrics["train/invariance"] == logged[0]


def test_the_probes_figures_are_of_validation_and_its_gap_is_validation_minus_training(setting, monkeypatch):
    spoken = {}

    class Spoken:
        """A head that has learnt its training images better than the others."""

        def __init__(self, train, val, *_):
            for split, sure in ((train, 4.0), (val, 1.0)):
                noise = np.random.default_rng(len(split.labels)).normal(size=(len(split.labels), classes))
                noise[np.arange(len(noise)), split.labels] += sure
                spoken[len(split.labels)] = (np.exp(noise) / np.exp(noise).sum(1, keepdims=True), split.labels)

        def step(self):
            pass

        def predict(self, split):
            return spoken[len(split.labels)][0]

    classes = len(setting.dataset.classes)
    monkeypatch.setattr(features, "HeadTraining", Spoken)
    found = features.probe(build_encoder("test_efficientnet", 32, 0), setting, 32, 0)
    (seen, own), (said, labels) = (
        spoken[len(setting.dataset.rows(split, labelled=True))] for split in ("train", "val")
    )
    names = range(classes)
    assert found["probe/loss"] == pytest.approx(log_loss(labels, said, labels=names))
    assert found["probe/gap"] == pytest.approx(log_loss(labels, said, labels=names) - log_loss(own, seen, labels=names))
    assert found["probe/gap"] > 0
    assert found["probe/accuracy"] == pytest.approx((said.argmax(1) == labels).mean())
    present = [name for name in names if (labels == name).any()]
    aurocs = [roc_auc_score(labels == name, said[:, name]) for name in present]
    assert found["probe/auroc"] == pytest.approx(np.mean(aurocs))


def test_processor_time_is_the_trainings_without_what_is_measured(tmp_path, monkeypatch):
    clock = [0.0]

    def taking(minutes, method):
        def longer(*given, **named):
            clock[0] += 60 * minutes
            return method(*given, **named)

        return longer

    monkeypatch.setattr(pretrain.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(Trainer, "train_epoch", taking(1, Trainer.train_epoch))
    for name in ("every_epoch", "now_and_then"):
        monkeypatch.setattr(Monitor, name, taking(100, getattr(Monitor, name)))
    config = PretrainConfig(**GIVEN, epochs=3, figures_every=1)
    minutes = []
    pretrain.train(
        config,
        prepare_setting(config, NullTracker()),
        NullTracker(),
        tmp_path,
        record=lambda epoch, metrics: minutes.append(metrics["cpu_minutes"]),
    )
    assert minutes == [1, 2, 3]


def test_a_run_says_which_weights_it_kept(tmp_path, monkeypatch, capsys):
    scores = iter([0.6, 0.8, 0.7])
    monkeypatch.setattr(Monitor, "now_and_then", lambda self: {"probe/auroc": next(scores)})
    monkeypatch.setattr(pretrain, "artefact_figures", lambda *given: {"artefact/hair": 0.5})
    tracker = RecordingTracker()
    config = PretrainConfig(**GIVEN, epochs=4, figures_every=1, keep="best", patience=1)
    pretrain.run(config, tracker, lambda snapshot: None, tmp_path)
    assert (
        "stopped after epoch 3 of 4; the weights of epoch 2 are kept, the best by probe/auroc"
        in capsys.readouterr().err
    )
    assert ("tags", {"kept.epoch": "2"}) in tracker.calls
    assert ("metrics", (2, {"artefact/hair": 0.5})) in tracker.calls
    assert not any("epoch" in value[1] for kind, value in tracker.calls if kind == "metrics")
