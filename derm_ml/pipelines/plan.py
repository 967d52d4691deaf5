"""The plan of an ablation: arms that are pretrained with parameters of their own, or are not."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from derm_ml.config import FLOORS, AblateConfig, PretrainConfig, SearchConfig
from derm_ml.errors import UserError

GIVEN = ("imagenet", "random", *FLOORS)
# the ablation's own, or no part of a single training
_ELSEWHERE = {item.name for item in fields(SearchConfig)} - {"batch_size", "weight_decay", "backbone"}
_ELSEWHERE |= {"space", "objective", "resume"}
ALLOWED = [item.name for item in fields(PretrainConfig) if item.name not in _ELSEWHERE]


class Planned(NamedTuple):
    """An arm of a plan: `kind` is vae where it is pretrained, else imagenet, random, pixels or majority."""

    name: str
    kind: str
    backbone: str
    parameters: dict[str, Any]

    def pretraining(self, config: AblateConfig, split_seed: int) -> PretrainConfig:
        """Of this arm on a split: the split's seed is the pretraining's too, so that intervals cover both.

        Raises:
            UserError: a value out of range.
        """
        own = {"data": config.data, "image_size": config.image_size, "device": config.device}
        own |= {"precision": config.precision, "seed": split_seed, "split_seed": split_seed, "backbone": self.backbone}
        return PretrainConfig(**{**own, **self.parameters})


def read_plan(config: AblateConfig) -> list[Planned]:
    """The arms, in the file's order; the first is what the others are held against.

    `[common]` holds what all pretrained arms share, `[arms.NAME]` what each has of its own. `encoder` makes it an arm
    that is not pretrained (imagenet, random, pixels or majority), of the architecture `backbone`.

    Raises:
        UserError: no such file, not TOML, or something in it is not known.
    """
    path = Path(config.plan)
    try:
        plan = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"plan={config.plan}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"plan={config.plan}: not TOML: {error}") from error
    for key in plan:
        if key not in ("common", "arms"):
            raise UserError(f"plan={config.plan}: [{key}] is not known: [common] and [arms.NAME] are")
    common, arms = plan.get("common", {}), plan.get("arms", {})
    if not isinstance(arms, dict) or len(arms) < 2:
        raise UserError(f"plan={config.plan}: fewer than two arms: give each as [arms.NAME]")
    return [_planned(config, name, {**common, **_table(config, name, own)}, own) for name, own in arms.items()]


def _table(config: AblateConfig, name: str, own: object) -> dict[str, Any]:
    if not isinstance(own, dict):
        raise UserError(f"plan={config.plan}: arms.{name} is a value: give a table, [arms.{name}]")
    return own


def _planned(config: AblateConfig, name: str, given: dict[str, Any], own: dict[str, Any]) -> Planned:
    where = f"plan={config.plan}, arm {name}"
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"{where}: a name is made of letters, digits, - and _")
    backbone = str(given.pop("backbone", config.backbone))
    if "encoder" in own:
        kind = own["encoder"]
        if kind not in GIVEN:
            raise UserError(f"{where}: encoder={kind!r} is not known: choose one of {', '.join(GIVEN)}")
        if extra := set(own) - {"encoder", "backbone"}:
            raise UserError(f"{where}: it is not pretrained, so {', '.join(sorted(extra))} has no meaning")
        return Planned(name, kind, backbone, {})
    types = {item.name: str(item.type) for item in fields(PretrainConfig)}
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    for key, value in given.items():
        if key not in ALLOWED:
            raise UserError(f"{where}: {key} is not known: choose of backbone, {', '.join(ALLOWED)}")
        if not isinstance(value, kinds[types[key]]) or isinstance(value, bool):
            raise UserError(f"{where}: {key}={value!r} is not of type {types[key]}")
    planned = Planned(name, "vae", backbone, given)
    try:
        planned.pretraining(config, config.split_seed)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return planned
