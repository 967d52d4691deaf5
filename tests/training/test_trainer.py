"""The loop: it learns, it repeats, it goes on where it was, it stops at nonsense."""

import pytest
import torch

from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder
from derm_ml.models.heads import LinearHead
from derm_ml.models.vae import ConvVae
from derm_ml.objectives.annealing import warmup
from derm_ml.objectives.classification import ClassificationObjective
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.seeding import torch_generator
from derm_ml.training.batches import TensorBatches
from derm_ml.training.checkpoint import digest_of, load_checkpoint, save_checkpoint
from derm_ml.training.schedules import warmup_cosine
from derm_ml.training.trainer import NonFiniteLoss, Precision, Trainer

CPU = torch.device("cpu")


def vae_trainer(epochs=4, lr=1e-3, memory_format=torch.contiguous_format):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 8).to(memory_format=memory_format)
    settings = {"steps": 2, "epochs": epochs, "lr": lr, "weight_decay": 0.01, "seed": 0}
    return Trainer(ElboObjective(vae, annealing=warmup(1)), precision=Precision(CPU), **settings)


def train(trainer, epochs):
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for _ in range(epochs):
        order = torch_generator(0, "order", trainer.epoch)
        means = trainer.train_epoch(TensorBatches(images, torch.arange(16), 8, order))
    return means


def test_the_same_seed_gives_the_same_weights():
    first, second = vae_trainer(), vae_trainer()
    train(first, 2), train(second, 2)
    assert digest_of(first.objective.model) == digest_of(second.objective.model)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_stopping_and_resuming_changes_nothing(tmp_path, memory_format):
    whole, part, rest = (vae_trainer(memory_format=memory_format) for _ in range(3))
    train(whole, 4), train(part, 2)
    save_checkpoint(tmp_path / "c.safetensors", part, {"history": [1]})
    assert load_checkpoint(tmp_path / "c.safetensors", rest) == {"history": [1]}
    train(rest, 2)
    assert digest_of(whole.objective.model) == digest_of(rest.objective.model)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_missing_or_damaged_checkpoint_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none", vae_trainer())
    (tmp_path / "bad").write_bytes(b"x" * 99)
    with pytest.raises(UserError, match="damaged"):
        load_checkpoint(tmp_path / "bad", vae_trainer())


def test_learning_rate_zero_learns_nothing():
    trainer = vae_trainer(lr=0.0)
    before = {key: value.clone() for key, value in trainer.objective.model.named_parameters()}
    train(trainer, 1)
    assert all(torch.equal(before[key], value) for key, value in trainer.objective.model.named_parameters())


def test_one_batch_is_overfitted():
    """Eight images of one colour each: 3,072 values at a standard deviation of 0.1 are -2,700 nats."""
    trainer = vae_trainer(epochs=120, lr=3e-3)
    images = torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(8, 3, 32, 32).contiguous()
    losses = [trainer.train_epoch([(images, torch.arange(8))] * 2)["distortion"] for _ in range(120)]
    assert losses[0] > 0
    assert losses[-1] < -2000


def test_a_head_separates_what_can_be_separated():
    features = torch.cat([torch.randn(50, 4) + 3, torch.randn(50, 4) - 3])
    labels = torch.cat([torch.zeros(50), torch.ones(50)]).long()
    head = LinearHead(4, 2)
    head.standardise_by(features)
    settings = {"steps": 5, "epochs": 40, "lr": 0.05, "weight_decay": 0.0, "seed": 0}
    trainer = Trainer(ClassificationObjective(head, labels), precision=Precision(CPU), **settings)
    for epoch in range(40):
        loss = trainer.train_epoch(TensorBatches(features, torch.arange(100), 20, torch_generator(0, epoch)))["loss"]
    assert loss < 0.2


def test_a_non_finite_loss_is_named():
    trainer = vae_trainer()
    trainer.objective.model.log_sigma.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match="step 0"):
        train(trainer, 1)


def test_the_schedule():
    factor = warmup_cosine(100, 10)
    assert factor(0) == pytest.approx(0.1)
    assert factor(10) == pytest.approx(1.0)
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0)
