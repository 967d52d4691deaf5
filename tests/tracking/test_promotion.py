"""Aliases, evidence, history: on a real MLflow store; and `derm-ml registry` as it is typed."""

import json
from pathlib import Path

import pytest
from test_promotion_rule import DOWN, UP, evidence

from derm_ml.cli import main
from derm_ml.errors import UserError
from derm_ml.tracking import promotion
from derm_ml.tracking.runs import connect

FACTS = {"data.kind": "ham10000", "data.fingerprint": "f" * 64, "data.split": "s" * 64, "score": "0.8"}


@pytest.fixture
def client(database):
    found = connect()
    found.create_registered_model(promotion.NAME)
    return found


def add(client, **facts):
    tags = {**FACTS, "score.name": "probe/auroc", "backbone": "b", "image_size": "64", **facts}
    version = client.create_model_version(promotion.NAME, "file:///nowhere", tags=tags, description="# The card")
    promotion.enter(client, version)
    return version


def aliases(client):
    return {name: int(number) for name, number in client.get_registered_model(promotion.NAME).aliases.items()}


def test_the_first_is_champion_and_later_ones_challenge(client):
    add(client)
    assert aliases(client) == {"champion": 1}
    add(client, score="0.9")
    assert aliases(client) == {"champion": 1, "challenger": 2}
    (move,) = promotion.history(client)
    assert (move["from"], move["to"], move["by"]) == ("", "1", "first")


def test_real_images_take_over_from_synthetic_ones_and_not_back(client):
    add(client, **{"data.kind": "synthetic"})
    add(client)
    assert aliases(client) == {"champion": 2, "previous": 1}
    add(client, **{"data.kind": "synthetic"})
    assert aliases(client) == {"champion": 2, "previous": 1, "challenger": 3}


def test_the_rule_moves_the_alias_and_leaves_its_evidence(client):
    add(client)
    add(client)
    refused = promotion.decide(client, evidence(DOWN))
    assert not refused.promoted
    assert aliases(client) == {"champion": 1, "challenger": 2}
    assert "neither" in client.get_model_version(promotion.NAME, "2").tags["promotion.reason"]
    assert promotion.decide(client, evidence(UP)).promoted
    assert aliases(client) == {"champion": 2, "previous": 1}
    version = client.get_model_version(promotion.NAME, "2")
    assert json.loads(version.tags["promotion.evidence"])["auroc"] == list(UP)
    assert version.tags["promotion.run"] == "r"
    assert version.description.startswith("# The card")
    assert version.description.count("## Evidence") == 1
    assert "| macro AUROC | 0.020 [0.010, 0.030] |" in version.description
    assert [move["by"] for move in promotion.history(client)] == ["first", "rule"]


def test_a_champion_that_changed_meanwhile_is_not_overtaken(client):
    for _ in range(3):
        add(client)
    promotion.promote_by_hand(client, "3", "a reason")
    decision = promotion.decide(client, evidence(UP))
    assert not decision.promoted
    assert "no longer models:/derm-encoder/1" in decision.reason
    assert aliases(client)["champion"] == 3


def test_by_hand_with_a_reason_and_back(client):
    add(client)
    add(client)
    with pytest.raises(UserError, match="needs a reason"):
        promotion.promote_by_hand(client, "2", "  ")
    with pytest.raises(UserError, match="no previous"):
        promotion.rollback(client)
    promotion.promote_by_hand(client, "2", "seen in the clinic")
    with pytest.raises(UserError, match="champion already"):
        promotion.promote_by_hand(client, "2", "again")
    assert promotion.rollback(client, "it was worse") == ("2", "1")
    assert aliases(client) == {"champion": 1, "previous": 2}
    assert [(m["by"], m["reason"]) for m in promotion.history(client)][1:] == [
        ("hand", "seen in the clinic"),
        ("rollback", "it was worse"),
    ]


class Dies:
    """A client whose nth write does not return."""

    def __init__(self, client, writes):
        self._client, self._left = client, writes

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not name.startswith(("set_", "delete_", "update_")):
            return found

        def counted(*args, **kwargs):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            return found(*args, **kwargs)

        return counted


@pytest.mark.parametrize("writes", range(9))
def test_wherever_it_is_killed_there_is_a_champion_and_again_mends_it(client, writes):
    add(client)
    add(client)
    try:
        promotion.decide(Dies(client, writes), evidence(UP))
    except KeyboardInterrupt:
        pass
    else:
        assert writes == 8
    assert aliases(client)["champion"] in (1, 2)
    if aliases(client)["champion"] == 2:
        assert aliases(client)["previous"] == 1
    else:
        assert promotion.decide(client, evidence(UP)).promoted
        assert aliases(client) == {"champion": 2, "previous": 1}


def test_the_history_stays_within_what_mlflow_keeps(client, monkeypatch):
    monkeypatch.setattr(promotion, "LONGEST", 900)
    for number in range(8):
        add(client)
        promotion.promote_by_hand(client, str(number + 1), "x" * 100) if number else None
    kept = promotion.history(client)
    assert 0 < len(kept) < 8
    assert kept[-1]["to"] == "8"


def test_the_command_line(client, capsys):
    assert main(["registry", "list"]) == 2
    assert "no version of derm-encoder is registered" in capsys.readouterr().err
    add(client)
    add(client)
    assert main(["registry", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["2", "challenger"], ["1", "champion"]]
    assert main(["registry", "promote", "@challenger", "--reason", "seen in the clinic"]) == 0
    assert "champion: version 2" in capsys.readouterr().out
    assert main(["registry", "show"]) == 0
    said = capsys.readouterr().out
    assert "models:/derm-encoder/2" in said
    assert "# The card" in said
    assert "1 -> 2  by hand" in said
    assert main(["registry", "rollback"]) == 0
    assert "champion: version 1 again" in capsys.readouterr().out
    for words in (["show", "7"], ["show", "@nobody"], ["promote", "9", "--reason", "x"], ["promote", "2"], ["forget"]):
        assert main(["registry", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert Path("mlflow.db").exists()
