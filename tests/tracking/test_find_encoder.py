"""Which registered encoder is compared: on a real MLflow store."""

import pytest

from derm_ml.errors import NoEncoder
from derm_ml.tracking import promotion
from derm_ml.tracking.registry import find_encoder
from derm_ml.tracking.runs import connect

PLACE = (64, "f" * 64, "s" * 64)
FACTS = {"data.fingerprint": PLACE[1], "data.split": PLACE[2], "image_size": "64", "backbone": "small"}


@pytest.fixture
def client(database):
    found = connect()
    found.create_registered_model(promotion.NAME)
    versions = [
        {"method": "VAE", "recipe": "plain", "score": "0.7"},
        {"method": "VAE + InfoNCE", "recipe": "composed", "score": "0.9"},
        {"method": "VAE", "recipe": "composed", "score": "0.8"},
        {"method": "VAE + InfoNCE", "recipe": "composed", "score": "0.95", "data.split": "another"},
        {"score": "0.6"},  # of before there was anything else
    ]
    for own in versions:
        found.create_model_version(promotion.NAME, "file:///nowhere", tags={**FACTS, **own})
    return found


@pytest.mark.parametrize(
    ("asked", "version"),
    [({}, 2), ({"plain": True}, 1), ({"method": "VAE"}, 3), ({"method": "VAE + InfoNCE"}, 2)],
)
def test_the_best_of_the_kind_that_is_asked_for(client, asked, version):
    assert find_encoder(client, "small", *PLACE, **asked) == f"models:/derm-encoder/{version}"


def test_what_is_missing_is_named_with_the_command_that_makes_it(client):
    with pytest.raises(NoEncoder, match=r"no VICReg small encoder at 64 px .* -e pretrain -P backbone=small`"):
        find_encoder(client, "small", *PLACE, method="VICReg")
    with pytest.raises(NoEncoder, match=r"no small encoder at 32 px .* \(at 64 px there is: image_size=64\): run"):
        find_encoder(client, "small", 32, *PLACE[1:])
    with pytest.raises(NoEncoder, match=r"no plain other encoder .* -P invariance=none -P crop=1 -P augment=1"):
        find_encoder(client, "other", *PLACE, plain=True)
