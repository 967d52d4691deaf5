"""Compare with pretrained encoders: another architecture, the plain VAE beside a better one."""

import numpy as np
import pytest

from derm_ml.config import CompareConfig, PretrainConfig
from derm_ml.errors import UserError
from derm_ml.pipelines import compare, pretrain
from derm_ml.pipelines.arms import EncoderFiles
from derm_ml.report.texts import methods
from derm_ml.results import Place
from derm_ml.tracking.base import RecordingTracker
from derm_ml.verdict.answer import answer
from derm_ml.verdict.measures import Measures

SMALL = {"data": "synthetic:n=160,size=40,seed=1", "image_size": 32, "backbone": "test_efficientnet", "epochs": 2}
ALL = Place("identical", "frozen", 1.0)


class SmallEncoders:
    """One pretrained `derm_small`."""

    def __init__(self, files):
        self.files, self.asked = files, []

    def find(self, backbone, size, fingerprint, split_id, *, plain, method=""):
        self.asked.append((backbone, plain))
        return self.files.uri

    def champion(self, size, fingerprint, split_id):
        return ""

    def resolve(self, reference):
        return self.files


@pytest.fixture(scope="module")
def small_encoder(tmp_path_factory):
    tracker = RecordingTracker()
    given = {"data": SMALL["data"], "image_size": 32, "backbone": "derm_small", "latent_dim": 4, "epochs": 1}
    pretrain.run(PretrainConfig(**given), tracker, lambda snapshot: None, tmp_path_factory.mktemp("small"))
    (record,) = [value for kind, value in tracker.calls if kind == "encoder"]
    return EncoderFiles(record.weights, dict(record.facts), "models:/derm-encoder/1", record.vae)


def test_an_arm_has_one_method_whatever_the_split(small_encoder, tmp_path):
    class Asked(SmallEncoders):
        def find(self, backbone, size, fingerprint, split_id, *, plain, method=""):
            self.asked.append((split_id, method))
            return split_id

        def resolve(self, reference):  # what was pretrained on each split
            return self.files._replace(facts={**self.files.facts, "data.split": reference, "objective": reference[:4]})

    encoders = Asked(small_encoder)
    given = {**SMALL, "arms": "vae", "seeds": 1, "protocols": "identical", "splits": 2}
    comparison = compare.run(CompareConfig(**given), RecordingTracker(), encoders, tmp_path)
    first, second = (split for split, _ in encoders.asked)
    assert encoders.asked == [(first, ""), (second, "VAE + InfoNCE")]
    assert comparison.vae_objective == f"{first[:4]}; {second[:4]}"


def test_another_architecture_is_said_first_and_its_own_untrained_network_is_the_control(small_encoder, tmp_path):
    given = {**SMALL, "arms": "vae,random", "seeds": 1, "protocols": "identical"}
    with pytest.raises(UserError, match=r"is a derm_small, and vae_backbone=test_efficientnet"):
        compare.run(
            CompareConfig(**given, vae_backbone="same"),
            RecordingTracker(),
            SmallEncoders(small_encoder),
            tmp_path / "one",
        )
    encoders = SmallEncoders(small_encoder)
    comparison = compare.run(CompareConfig(**given), RecordingTracker(), encoders, tmp_path / "two")
    assert encoders.asked == [("", False)]
    assert (comparison.backbone, comparison.vae_backbone) == ("test_efficientnet", "derm_small")
    found = answer(Measures(comparison))
    assert "The vae arm's encoder is a derm_small, ImageNet's a test_efficientnet" in found.warnings[0]
    objective = "objective: vae gaussian kl beta=1 artefacts=0.2 augment=3 crop=0.4 infonce=1)"
    assert f"is not the paper's plain VAE but VAE + InfoNCE ({objective}" in found.warnings[1]
    said = methods(comparison)
    assert "the vae arm's architecture with random weights. The vae arm's architecture was derm_small." in said
    assert f"(variational autoencoder + InfoNCE; {objective}" in said
    (random,) = comparison.of("random", ALL)
    alone = {**given, "arms": "random,pixels", "backbone": "derm_small"}
    (same,) = compare.run(CompareConfig(**alone), RecordingTracker(), encoders, tmp_path / "three").of("random", ALL)
    np.testing.assert_allclose(random.test_probabilities, same.test_probabilities, atol=1e-6)


def test_the_plain_vae_is_an_arm_beside_the_best_one(small_encoder, tmp_path):
    encoders = SmallEncoders(small_encoder)
    given = {**SMALL, "arms": "vae,plain,pixels", "seeds": 1, "protocols": "identical", "backbone": "derm_small"}
    comparison = compare.run(CompareConfig(**given), RecordingTracker(), encoders, tmp_path)
    assert encoders.asked == [("", False), ("derm_small", True)]  # the plain one has the architecture of the other
    assert comparison.arms == ("vae", "plain", "pixels")
    vae, plain = (comparison.of(arm, ALL)[0] for arm in ("vae", "plain"))
    np.testing.assert_array_equal(vae.test_probabilities, plain.test_probabilities)  # the one encoder there is


def test_what_is_plain():
    paper = {"invariance": "none", "crop": 1.0, "augment": 1.0, "artefacts": 0.0}
    assert PretrainConfig(**paper, beta=4.0, latent_dim=16, epochs=3).plain
    assert not PretrainConfig().plain
    for other in ({"mask": 0.5}, {"invariance": "infonce"}, {"likelihood": "laplace"}, {"crop": 0.5}, {"extra": "x"}):
        assert not PretrainConfig(**{**paper, **other}).plain
