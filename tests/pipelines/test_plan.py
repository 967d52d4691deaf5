"""The plan's door: what reaches an arm, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ablations import PLAN

from derm_ml.config import AblateConfig
from derm_ml.errors import UserError
from derm_ml.pipelines.plan import read_plan

PLANS = sorted((Path(__file__).parents[2] / "docs" / "ablations").glob("*.toml"))


def test_common_parameters_reach_every_pretraining_and_own_ones_win(plan):
    config = plan(PLAN + "\n[arms.longer]\nepochs = 7\n")
    arms = {arm.name: arm for arm in read_plan(config)}
    assert list(arms) == ["plain", "views", "untrained", "pixels", "views-last", "longer"]
    assert [arm.kind for arm in arms.values()] == ["vae", "vae", "random", "pixels", "vae", "vae"]
    views, longer = arms["views"].pretraining(config, 3), arms["longer"].pretraining(config, 3)
    assert (views.epochs, views.crop, views.invariance, views.split_seed, views.seed) == (2, 0.5, "infonce", 3, 3)
    assert (longer.epochs, longer.crop, longer.data, longer.image_size) == (7, 1.0, config.data, 32)
    assert arms["untrained"].backbone == "test_efficientnet"
    assert [arm.encoder for arm in arms.values()] == ["plain", "views", "untrained", "pixels", "views", "longer"]
    assert arms["views-last"].features == "last"


def test_an_untrained_arm_is_the_network_that_would_be_pretrained(plan):
    cpu = torch.device("cpu")
    arms = read_plan(plan("[arms.a]\n[arms.b]\nencoder = 'random'\n[arms.c]\nencoder = 'imagenet'\n"))
    assert [arm.network(cpu) for arm in arms] == ["derm_medium", "derm_medium", "tf_efficientnet_lite0"]


def test_nothing_is_erased_where_all_weights_train(plan):
    config = plan("[arms.a]\n[arms.b]\nerase = 'artefacts'\n")
    assert [arm.erase for arm in read_plan(config)] == ["none", "artefacts"]
    with pytest.raises(UserError, match="arm b: erase=artefacts is for frozen features"):
        read_plan(replace(config, modes="frozen,full"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[arms.a]\n[arms.b]\nepoch = 3", "arm b: epoch is not known: did you mean epochs?"),
        ("[common]\nimage_size = 32\n[arms.a]\n[arms.b]", "image_size is the ablation's own: give --image-size beside"),
        ("[arms.a]\n[arms.b]\nepochs = 0", "arm b: epochs=0 does not fit"),
        ("[arms.a]\n[arms.b]\nepochs = '3'", "arm b: epochs='3' is not of type int"),
        ("[arms.a]\n[arms.b]\nepochs = true", "arm b: epochs=True is not of type int"),
        ("[arms.a]\n[arms.b]\ntrials = 3", "arm b: trials is not known: choose of features"),
        ("[arms.a]\n[arms.b]\nprecision = 'fp64'", "arm b: precision='fp64' is not known"),
        ("[arms.a]\n[arms.b]\nencoder = 'vae'", "arm b: encoder='vae' is not known"),
        ("[arms.a]\n[arms.b]\nencoder = 'random'\nepochs = 3", "arm b: it is not pretrained, so epochs has no meaning"),
        ("[arms.a]\n[arms.b]\nencoder = 'random'\nfeatures = 'latent'", "arm b: features='latent' does not fit"),
        ("[arms.a]\n[arms.b]\nerase = 'hair'", "arm b: erase='hair' does not fit"),
        ("[arms.a]\n[arms.b]\nencoder = 'pixels'\nerase = 'artefacts'", "arm b: erase='artefacts' does not fit"),
        ("[arms.a]\n[arms.'../b']", "made of letters"),
        ("[arms.a]", "fewer than two arms"),
        ("[arms]\na = 1\nb = 2", "arms.a is a value"),
        ("[arm.a]\n[arms.b]\n[arms.c]", r"\[arm\] is not known"),
        ("[arms.a", "not TOML"),
    ],
)
def test_a_wrong_plan_is_told_in_a_line(plan, text, said):
    with pytest.raises(UserError, match=said) as raised:
        read_plan(plan(text))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_of_the_documents_are_plans(path):
    assert len(read_plan(AblateConfig(data="DIR", plan=str(path)))) >= 2


def test_a_plan_that_is_not_there():
    with pytest.raises(UserError, match="cannot be read"):
        read_plan(AblateConfig(plan="nowhere.toml"))
    with pytest.raises(UserError, match="plan is empty"):
        AblateConfig()
