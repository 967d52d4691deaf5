"""Configurations refuse what does not fit, with the value and the range."""

import pytest

from derm_ml.config import CompareConfig, FinetuneConfig, PretrainConfig, resolved
from derm_ml.errors import UserError


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (PretrainConfig, {"beta": -1.0}, "beta=-1.0"),
        (PretrainConfig, {"beta": float("nan")}, "beta=nan"),
        (PretrainConfig, {"image_size": 48}, "divisible by 32"),
        (PretrainConfig, {"image_size": 288}, "32, 64, ... 256"),
        (PretrainConfig, {"epochs": 0}, "epochs=0"),
        (PretrainConfig, {"free_bits": 0.1, "regulariser": "tc"}, "free_bits=0.1 is for regulariser=kl"),
        (PretrainConfig, {"capacity": 9.0}, "capacity=9 is for regulariser=capacity"),
        (PretrainConfig, {"kl_warmup": 3, "kl_cycles": 2}, "kl_warmup=3 is for kl_cycles=0"),
        (PretrainConfig, {"invariance": "none", "invariance_weight": 2.0}, "invariance_weight=2 is for an invariance"),
        (
            PretrainConfig,
            {"likelihood": "none", "decoder_width": 1.0},
            "decoder_width=1 is for a likelihood other than none",
        ),
        (PretrainConfig, {"likelihood": "none", "objective": "elbo"}, "objective=elbo needs a likelihood"),
        (PretrainConfig, {"likelihood": "none", "regulariser": "tc"}, "regulariser=tc is for a likelihood"),
        (PretrainConfig, {"likelihood": "none", "beta": 6.0}, "beta=6 is for a likelihood"),
        (PretrainConfig, {"likelihood": "none", "free_bits": 0.1}, "free_bits=0.1 is for regulariser=kl and a"),
        (PretrainConfig, {"likelihood": "none", "kl_cycles": 2}, "kl_cycles=2 is for a likelihood"),
        (PretrainConfig, {"kl_warmup": 13}, "kl_warmup=13 does not fit"),
        (
            PretrainConfig,
            {"keep": "best", "patience": 3},
            "needs keep=best and, for 12 epochs, figures_every=2 or less",
        ),
        (
            PretrainConfig,
            {"patience": 1},
            "patience=1 waits for 2 probes: it needs keep=best and, for 12 epochs, figures_every=5",
        ),
        (PretrainConfig, {"augment": 0.0, "crop": 1.0, "artefacts": 0.0}, "two views of an image are the same"),
        (FinetuneConfig, {"mode": "half"}, "frozen, full"),
        (FinetuneConfig, {"label_fraction": 0.0}, "above 0"),
        (FinetuneConfig, {"erase": "hair"}, "none, artefacts"),
        (FinetuneConfig, {"erase": "artefacts", "mode": "full"}, "all weights train"),
        (FinetuneConfig, {"erase": "artefacts", "encoder": "pixels"}, "encoder=pixels has none"),
        (CompareConfig, {"erase": "artefacts", "modes": "full"}, "all weights train"),
        (CompareConfig, {"erase": "artefacts", "modes": "frozen,full"}, "all weights train"),
        (CompareConfig, {"arms": "vae,resnet"}, "'resnet'"),
        (CompareConfig, {"arms": " , "}, "empty"),
        (CompareConfig, {"features": "latent"}, "VAE only"),
        (CompareConfig, {"label_fractions": "0.1,some"}, "not a list of numbers"),
        (CompareConfig, {"label_fractions": "0.1,2"}, "label_fractions=2.0"),
        (CompareConfig, {"protocols": "identical,best"}, "'best'"),
        (CompareConfig, {"modes": "half"}, "frozen, full"),
        (CompareConfig, {"splits": 3, "encoder": "models:/derm-encoder/1"}, "encoder=auto"),
        (CompareConfig, {"external_classes": "x.csv"}, "belongs to external"),
    ],
)
def test_a_bad_value_is_named(kind, values, words):
    with pytest.raises(UserError, match=".*") as error:
        kind(**values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_arms_are_taken_once_in_order():
    assert CompareConfig(arms="pixels, vae,pixels").arm_names == ("pixels", "vae")


def test_fractions_are_taken_once_the_largest_first():
    assert CompareConfig(label_fractions="0.01, 1,0.1,1").fractions == (1.0, 0.1, 0.01)


def test_resolved_keys_are_dotted():
    assert resolved(PretrainConfig(lr=0.5), "pretrain")["pretrain.lr"] == 0.5


PLAIN = {"invariance": "none", "crop": 1.0, "augment": 1.0, "artefacts": 0.0}


def test_the_papers_vae_is_four_parameters_away_and_no_other_counts_as_it():
    assert PretrainConfig(**PLAIN).plain
    assert PretrainConfig(**PLAIN, beta=8.0, latent_dim=16).plain  # the paper searches beta
    others = {"augment": 3.0, "crop": 0.4, "artefacts": 0.2, "invariance": "infonce", "likelihood": "laplace"}
    others |= {"latent": "map", "regulariser": "tc", "mask": 0.5, "free_bits": 0.1, "kl_cycles": 2}
    for name, value in others.items():
        assert not PretrainConfig(**{**PLAIN, name: value}).plain, name


def test_what_would_stop_a_training_or_weighs_nothing_is_taken():
    assert PretrainConfig(keep="best", patience=3, figures_every=2).patience == 3
    assert PretrainConfig(likelihood="none", beta=0.0).method == "InfoNCE"


def test_hidden_squares_alone_make_two_views():
    assert PretrainConfig(augment=0.0, crop=1.0, artefacts=0.0, mask=0.5).invariance == "infonce"


def test_the_method_names_what_pretrains():
    assert PretrainConfig(**PLAIN).method == "VAE"
    assert PretrainConfig().method == "VAE + InfoNCE"
    assert PretrainConfig(invariance="barlow", likelihood="none").method == "Barlow Twins"
