"""The registry's aliases: who is champion, who was, who challenges; every move with its reason and its history."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from derm_ml.errors import UserError
from derm_ml.promotion import Decision, Evidence, promotion_rule

NAME = "derm-encoder"
HISTORY = "promotion.history"  # tag of the registered model: a JSON list of moves, the newest last
LONGEST = 90_000  # characters of it: MLflow allows 100,000 in a tag of the registry


def alias(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version behind an alias, where there is one."""
    try:
        return client.get_model_version_by_alias(NAME, name)
    except MlflowException:
        return None


def number(version: ModelVersion) -> str:
    """The number of a version as text: MLflow has it as one over HTTP, and as an integer from a database."""
    return str(version.version)


def enter(client: MlflowClient, version: ModelVersion) -> None:
    """A new version: champion where there is none yet, else challenger.

    One exception: a champion that was trained on synthetic images gives way to a version of real ones, so that a trial
    of the demo does not hold the place.
    """
    champion = alias(client, "champion")
    if champion is None:
        _move(client, None, version, "first", "the first version")
    elif champion.tags.get("data.kind") == "synthetic" and version.tags.get("data.kind") != "synthetic":
        _move(client, champion, version, "first", "the champion was trained on synthetic images, this one on real ones")
    else:
        client.set_registered_model_alias(NAME, "challenger", number(version))


def decide(client: MlflowClient, evidence: Evidence) -> Decision:
    """Apply the rule; the decision and its evidence are written on the challenger, whichever way it goes."""
    challenger = client.get_model_version(NAME, _number(evidence.challenger))
    champion = alias(client, "champion")
    if champion is None or number(champion) != _number(evidence.champion):
        decision = Decision(False, f"the champion is no longer {evidence.champion}: compare again")
    else:
        decision = promotion_rule(evidence)
    tags = {
        "promotion.reason": decision.reason,
        "promotion.evidence": json.dumps(asdict(evidence)),
        "promotion.run": evidence.run_id,
        "promotion.at": _now(),
    }
    for key, value in tags.items():
        client.set_model_version_tag(NAME, number(challenger), key, value)
    client.update_model_version(
        NAME, number(challenger), _with_evidence(challenger.description or "", evidence, decision)
    )
    if decision.promoted:
        _move(client, champion, challenger, "rule", decision.reason)
    return decision


def promote_by_hand(client: MlflowClient, name: str, reason: str) -> None:
    """Make a version champion whatever the figures say; the reason is kept.

    Raises:
        UserError: no reason, no such version, or it is champion already.
    """
    if not reason.strip():
        raise UserError("a promotion by hand needs a reason that others can read: --reason TEXT")
    version = known(client, name)
    champion = alias(client, "champion")
    if champion and number(champion) == number(version):
        raise UserError(f"version {number(version)} is champion already")
    client.set_model_version_tag(NAME, number(version), "promotion.reason", f"by hand: {reason}"[:5000])
    client.set_model_version_tag(NAME, number(version), "promotion.at", _now())
    _move(client, champion, version, "hand", reason)


def rollback(client: MlflowClient, reason: str = "") -> tuple[str, str]:
    """The previous champion is champion again; returns both version numbers, from and to.

    Raises:
        UserError: there is no previous one.
    """
    champion, previous = alias(client, "champion"), alias(client, "previous")
    if champion is None or previous is None:
        raise UserError("there is no previous champion to roll back to: promote a version by hand instead")
    _move(client, champion, previous, "rollback", reason or "rolled back")
    return number(champion), number(previous)


def history(client: MlflowClient) -> list[dict[str, Any]]:
    """Every move of `champion`, the oldest first."""
    try:
        text = client.get_registered_model(NAME).tags.get(HISTORY, "[]")
    except MlflowException:
        return []
    return list(json.loads(text))


def known(client: MlflowClient, name: str) -> ModelVersion:
    """A version by its number or by `@alias`.

    Raises:
        UserError: there is none.
    """
    try:
        if name.startswith("@"):
            return client.get_model_version_by_alias(NAME, name[1:])
        return client.get_model_version(NAME, name)
    except MlflowException as error:
        raise UserError(f"{NAME} has no version {name}: derm-ml registry list shows what there is") from error


def _move(client: MlflowClient, old: ModelVersion | None, new: ModelVersion, by: str, reason: str) -> None:
    """In an order in which a kill at any point leaves a champion, and the old one findable."""
    if old:
        client.set_registered_model_alias(NAME, "previous", number(old))
    client.set_registered_model_alias(NAME, "champion", number(new))
    challenger = alias(client, "challenger")
    if challenger and number(challenger) == number(new):
        client.delete_registered_model_alias(NAME, "challenger")
    moves = history(client)
    moves.append(
        {
            "at": _now(),
            "from": number(old) if old else "",
            "to": number(new),
            "by": by,
            "reason": reason,
            "user": _user(),
        }
    )
    while len(json.dumps(moves)) > LONGEST:
        moves.pop(0)
    client.set_registered_model_tag(NAME, HISTORY, json.dumps(moves))


def _with_evidence(card: str, evidence: Evidence, decision: Decision) -> str:
    card = card.partition("\n## Evidence\n")[0].rstrip()
    verdict = "Promoted" if decision.promoted else "Not promoted"
    rows = "\n".join(
        f"| {name} | {each.text} |"
        for name, each in (("macro AUROC", evidence.auroc), ("gap of the loss", evidence.gap), ("ECE", evidence.ece))
    )
    return f"""{card}

## Evidence

{verdict}: {decision.reason}.

Validation images, protocol {evidence.protocol}, mode {evidence.mode}, features {evidence.features}, {evidence.seeds}
seeds; data {evidence.fingerprint[:16]}, split {evidence.split_id[:16]}; run {evidence.run_id}.

| this version minus {evidence.champion} | 95 % interval |
|---|---|
{rows}
"""


def _number(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
