"""What a search varies, and between which bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from derm_ml.config import FinetuneConfig, PretrainConfig, SearchConfig
from derm_ml.errors import UserError

if TYPE_CHECKING:
    import optuna

Params = dict[str, float | int]


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; `log`: uniform in the logarithm."""

    low: float
    high: float
    log: bool = True
    integer: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


# Where the defaults of `space` look: two decades and more around the values that are in use.
RANGES: dict[type[SearchConfig], dict[str, Range]] = {
    PretrainConfig: {
        "beta": Range(0.01, 100),
        "lr": Range(1e-4, 1e-2),
        "latent_dim": Range(16, 512, integer=True),
        "weight_decay": Range(1e-4, 1),
        "augment": Range(0.5, 5, log=False),
    },
    FinetuneConfig: {"lr": Range(1e-5, 1e-1), "weight_decay": Range(1e-4, 10)},
}


def parse_space(config: SearchConfig) -> dict[str, Range]:
    """`config.space`: names with commas between, each with `=low..high` where the default range is not wanted.

    Raises:
        UserError: a name that cannot be searched, twice, or bounds that are none or that the parameter does not allow.
    """
    text: str = getattr(config, "space")  # noqa: B009 (both entry points that search have it, each its own default)
    known, found = RANGES[type(config)], dict[str, Range]()
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, given, bounds = (each.strip() for each in item.partition("="))
        if name not in known:
            raise UserError(f"space={text}: {name!r} cannot be searched: choose of {', '.join(known)}")
        if name in found:
            raise UserError(f"space={text}: {name} is there twice")
        found[name] = _bounded(text, name, known[name], bounds) if given else known[name]
        for value in (found[name].low, found[name].high):
            try:
                replace(config, **{name: value})  # type: ignore[arg-type]
            except UserError as error:
                raise UserError(f"space={text}: {error}") from error
    if not found:
        raise UserError(f"space={text!r} is empty: choose of {', '.join(known)}")
    return found


def _bounded(text: str, name: str, default: Range, bounds: str) -> Range:
    number = r"\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*"
    match = re.fullmatch(rf"{number}\.\.{number}", bounds, flags=re.IGNORECASE)
    try:
        low, high = (float(value) for value in match.groups()) if match else (math.nan, math.nan)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"space={text}: {name}={bounds} is no range: write {name}={default}")
    if low >= high:
        raise UserError(f"space={text}: {name}={bounds} is empty: the lower bound comes first and is smaller")
    if default.log and low <= 0:
        raise UserError(f"space={text}: {name} is searched on a logarithmic scale: its lower bound must be above 0")
    if default.integer and not (low.is_integer() and high.is_integer()):
        raise UserError(f"space={text}: {name} takes whole numbers")
    return replace(default, low=low, high=high)


def suggest(trial: optuna.Trial, space: Mapping[str, Range]) -> Params:
    """The trial's value of every parameter."""
    params: Params = {}
    for name, each in space.items():
        if each.integer:
            params[name] = trial.suggest_int(name, int(each.low), int(each.high), log=each.log)
        else:
            params[name] = trial.suggest_float(name, each.low, each.high, log=each.log)
    return params
