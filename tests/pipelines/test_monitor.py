"""What is measured while a VAE trains, and the best weights."""

import math

import pytest
import torch
from safetensors.torch import load_file

from derm_ml.config import PretrainConfig
from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae
from derm_ml.pipelines import pretrain
from derm_ml.pipelines.encoder_record import encoder_record
from derm_ml.pipelines.monitor import Best, Monitor, alignment, uniformity
from derm_ml.pipelines.setup import prepare_setting
from derm_ml.tracking.base import NullTracker


def directions(z):
    return [[x / math.hypot(*row) for x in row] for row in z.tolist()]


def test_alignment_and_uniformity_pair_by_pair():
    noise = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 7, 5, generator=noise).unbind()
    a, b = directions(first), directions(second)
    distances = [math.dist(x, y) ** 2 for x, y in zip(a, b, strict=True)]
    assert alignment(first, second) == pytest.approx(sum(distances) / 7, rel=1e-5)
    kernel = [math.exp(-2 * math.dist(a[i], a[j]) ** 2) for i in range(7) for j in range(i)]
    assert uniformity(first) == pytest.approx(math.log(sum(kernel) / len(kernel)), rel=1e-5)


def test_a_collapse_is_aligned_and_not_uniform():
    same = torch.ones(20, 4)
    assert alignment(same, same) == 0
    assert uniformity(same) == pytest.approx(0)
    assert uniformity(torch.randn(500, 64)) == pytest.approx(-4 + 8 / 64, abs=0.05)  # 4 cos, of variance 16 / 64
    assert uniformity(same[:1]) == 0


def vae(seed=0):
    return ConvVae(build_encoder("test_efficientnet", 32, seed), 4)


def test_the_best_weights_come_back_with_their_metrics_and_patience_ends(tmp_path):
    best = Best(tmp_path / "run" / "best.safetensors", "best", 2)
    scores = {0: 0.6, 1: 0.8, 2: 0.7, 3: 0.8}
    for seed, score in scores.items():
        assert not best.exhausted
        best.offer(vae(seed), {"probe/auroc": score, "val/elbo": -score})
    assert best.exhausted
    again = Best(best.path, "best", 2)
    again.go_on(best.facts())
    assert again.exhausted
    kept = vae(5)
    assert again.restore(kept) == {"probe/auroc": 0.8, "val/elbo": -0.8}
    expected = dict(vae(1).encoder.named_parameters())
    assert all(torch.equal(value, expected[key]) for key, value in kept.encoder.named_parameters())
    best.path.unlink()
    with pytest.raises(UserError, match="start anew"):
        Best(best.path, "best", 2).go_on(best.facts())


def test_without_labels_the_elbo_is_the_criterion_and_the_last_weights_need_no_file(tmp_path):
    best = Best(tmp_path / "best.safetensors", "best", 0)
    for seed, elbo in enumerate((1.0, 3.0, 2.0)):
        best.offer(vae(seed), {"val/elbo": elbo})
    assert best.restore(vae(5)) == {"val/elbo": 3.0}
    assert not best.exhausted
    last = Best(tmp_path / "last.safetensors", "last", 0)
    last.offer(vae(0), {"val/elbo": 1.0})
    assert last.restore(vae(0)) == {}
    assert not last.path.exists()


def test_patience_ends_a_training_and_the_best_encoder_is_kept(tmp_path, monkeypatch):
    scores = iter([0.6, 0.8, 0.7, 0.75, 0.9])
    monkeypatch.setattr(Monitor, "now_and_then", lambda self: {"probe/auroc": next(scores)})
    given = {"data": "synthetic:n=80,size=32,seed=0", "image_size": 32, "backbone": "test_efficientnet"}
    config = PretrainConfig(**given, epochs=5, figures_every=1, keep="best", patience=2, latent_dim=4)
    weights = []
    trained = pretrain.train(
        config,
        prepare_setting(config, NullTracker()),
        NullTracker(),
        tmp_path,
        record=lambda epoch, metrics: weights.append(load_file(tmp_path / "best.safetensors")),
    )
    assert len(weights) == 4  # of five epochs: two without a better one were enough
    assert (trained.metrics["probe/auroc"], trained.metrics["epoch"]) == (0.8, 2)
    record = encoder_record(
        trained.vae, prepare_setting(config, NullTracker()), config, trained.metrics, trained.images, tmp_path
    )
    assert "Weights: after epoch 2 of 5, the best by probe/auroc." in record.card
    expected, given = weights[1], trained.vae.state_dict()
    assert all(torch.equal(value, given[key]) for key, value in expected.items())
    assert any(not torch.equal(value, weights[0][key]) for key, value in expected.items())


class Killed(Exception):
    """As by a power cut."""


def test_an_early_stop_is_the_same_after_an_interruption(tmp_path, monkeypatch):
    scores = {1: 0.6, 2: 0.8, 3: 0.7, 4: 0.75, 5: 0.9}
    given = {"data": "synthetic:n=80,size=32,seed=0", "image_size": 32, "backbone": "test_efficientnet"}
    config = PretrainConfig(**given, epochs=5, figures_every=1, keep="best", patience=2, latent_dim=4)
    setting = prepare_setting(config, NullTracker())

    def train(folder, resume="", dies_at=0):
        done = iter(range(3 if resume else 1, 6))
        monkeypatch.setattr(Monitor, "now_and_then", lambda self: {"probe/auroc": scores[next(done)]})

        def watch(epoch, metrics):
            if epoch == dies_at:
                raise Killed

        return pretrain.train(config, setting, NullTracker(), folder, watch=watch, resume=resume)

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "cut", dies_at=2)
    again = train(tmp_path / "cut", resume="it")
    assert (again.metrics["epoch"], again.metrics["probe/auroc"]) == (2, 0.8) == (whole.metrics["epoch"], 0.8)
    expected, found = whole.vae.state_dict(), again.vae.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
