"""The plan of an ablation: arms that are pretrained with parameters of their own, or are not."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import torch

from derm_ml.config import ERASED, FEATURES, FLOORS, AblateConfig, PretrainConfig, SearchConfig, check_erased
from derm_ml.config.paths import in_plan
from derm_ml.errors import UserError
from derm_ml.models.backbones import choose_backbone, choose_own_backbone

GIVEN = ("imagenet", "random", *FLOORS)
# the ablation's own, or no part of a single training
_ELSEWHERE = {item.name for item in fields(SearchConfig)} - {"batch_size", "weight_decay", "backbone", "precision"}
_ELSEWHERE |= {"space", "objective", "resume"}
_OF_THE_RUN = _ELSEWHERE & {item.name for item in fields(AblateConfig)}
ALLOWED = [item.name for item in fields(PretrainConfig) if item.name not in _ELSEWHERE]


class Planned(NamedTuple):
    """An arm of a plan.

    Attributes:
        kind: vae where it is pretrained, else imagenet, random, pixels or majority.
        features: where its heads take them: stages, last or latent. erase: what is taken out of them, or none.
        encoder: the first arm of the plan whose encoder is the same, itself mostly: what is pretrained once.
    """

    name: str
    kind: str
    backbone: str
    features: str
    erase: str
    parameters: dict[str, Any]
    encoder: str = ""

    def network(self, device: torch.device) -> str:
        """The architecture's name, `auto` resolved: that of an untrained arm is the one that would be pretrained."""
        return (choose_backbone if self.kind == "imagenet" else choose_own_backbone)(self.backbone, device)

    @property
    def made_of(self) -> str:
        """What its encoder follows from: equal for arms that share it."""
        return repr((self.kind, self.backbone, sorted(self.parameters.items())))

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
    that is not pretrained (imagenet, random, pixels or majority), of the architecture `backbone`. `features` is where
    its heads take them and `erase` what is taken out of these, if not as the ablation says: arms that differ in nothing
    else share their pretraining. A relative path in it is one from the plan's own folder.

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
    planned = [_planned(config, name, {**common, **_table(config, name, own)}, own) for name, own in arms.items()]
    first: dict[str, str] = {}
    for arm in planned:
        first.setdefault(arm.made_of, arm.name)
    return [arm._replace(encoder=first[arm.made_of]) for arm in planned]


def _table(config: AblateConfig, name: str, own: object) -> dict[str, Any]:
    if not isinstance(own, dict):
        raise UserError(f"plan={config.plan}: arms.{name} is a value: give a table, [arms.{name}]")
    return own


def _planned(config: AblateConfig, name: str, given: dict[str, Any], own: dict[str, Any]) -> Planned:
    where = f"plan={config.plan}, arm {name}"
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"{where}: a name is made of letters, digits, - and _")
    given |= {key: str(each.path) for key, each in in_plan(given, Path(config.plan)).items()}
    backbone = str(given.pop("backbone", config.backbone))
    features = given.pop("features", config.features)
    if features not in FEATURES or (features == "latent" and "encoder" in own):
        raise UserError(f"{where}: features={features!r} does not fit: choose stages, last, or latent of a VAE")
    erase = given.pop("erase", config.erase)
    if erase not in ERASED or own.get("encoder") in FLOORS and "erase" in own:
        raise UserError(f"{where}: erase={erase!r} does not fit: choose none, or artefacts of an encoder's features")
    try:
        check_erased(erase, config.mode_names)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if "encoder" in own:
        kind = own["encoder"]
        if kind not in GIVEN:
            raise UserError(f"{where}: encoder={kind!r} is not known: choose one of {', '.join(GIVEN)}")
        if extra := set(own) - {"encoder", "backbone", "features", "erase"}:
            raise UserError(f"{where}: it is not pretrained, so {', '.join(sorted(extra))} has no meaning")
        return Planned(name, kind, backbone, features, erase, {})
    types = {item.name: str(item.type) for item in fields(PretrainConfig)}
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    for key, value in given.items():
        if key in _OF_THE_RUN:
            raise UserError(f"{where}: {key} is the ablation's own: give --{key.replace('_', '-')} beside the plan")
        if key not in ALLOWED:
            known = ["features", "erase", *ALLOWED]
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose of {', '.join(known)}"
            raise UserError(f"{where}: {key} is not known: {hint}")
        if not isinstance(value, kinds[types[key]]) or isinstance(value, bool):
            raise UserError(f"{where}: {key}={value!r} is not of type {types[key]}")
    planned = Planned(name, "vae", backbone, features, erase, given)
    try:
        planned.pretraining(config, config.split_seed)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return planned
