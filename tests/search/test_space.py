"""What a search may vary, and what it refuses."""

import optuna
import pytest

from derm_ml.config import FinetuneConfig, PretrainConfig
from derm_ml.errors import UserError
from derm_ml.search.space import Range, parse_space, suggest


def test_names_and_ranges():
    space = parse_space(PretrainConfig(space=" beta=0.5..20 , lr,latent_dim=16..64"))
    assert space["beta"] == Range(0.5, 20)
    assert space["lr"].log
    assert space["latent_dim"] == Range(16, 64, integer=True)
    assert set(parse_space(FinetuneConfig())) == {"lr", "weight_decay"}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("betta", "'betta' cannot be searched: choose of beta, lr"),
        ("beta,beta=1..2", "beta is there twice"),
        ("beta=2..1", "is empty"),
        ("beta=1..1", "is empty"),
        ("lr=0..1", "its lower bound must be above 0"),
        ("lr=0.1..20", "it must be at least 0 and at most 10"),
        ("beta=1", r"is no range: write beta=0.01..100"),
        ("beta=1..nan", "is no range"),
        ("beta=1.2.3..5", "is no range"),
        ("latent_dim=1.5..4", "takes whole numbers"),
        ("augment=0..6", "augment=6.0 does not fit"),
        ("", "is empty: choose of beta"),
    ],
)
def test_an_impossible_space_is_one_line(space, message):
    with pytest.raises(UserError, match=message):
        parse_space(PretrainConfig(space=space))


def test_what_is_suggested_lies_within_and_has_the_right_type():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    space = parse_space(PretrainConfig(space="lr=1e-4..1e-3,latent_dim=2..4,augment"))
    found = [suggest(study.ask(), space) for _ in range(30)]
    assert all(1e-4 <= each["lr"] <= 1e-3 for each in found)
    assert {each["latent_dim"] for each in found} == {2, 3, 4}
    assert all(isinstance(each["latent_dim"], int) for each in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": 2}, "give trials as well"),
        ({"hours": 1.0}, "give trials as well"),
        ({"trials": 3, "resume": "abc"}, "resume is for one training"),
        ({"trials": -1}, "trials=-1"),
        ({"trials": 1, "workers": 0}, "workers=0"),
        ({"trials": 1, "objective": "loss"}, "objective='loss' is not known"),
        ({"trials": 1, "study": "a\nb"}, "printable"),
    ],
)
def test_settings_that_do_not_go_together(given, message):
    with pytest.raises(UserError, match=message):
        PretrainConfig(**given)
