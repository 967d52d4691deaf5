"""Parameters that name files: declared at their fields, found and checked here before there is a run.

A field says so by `option(..., path=WORDS)`: WORDS are the values that are no path, alone or before a colon. Addresses
(`s3://...`, `models:/...`, `runs:/...`) are none either. A relative path is one from the caller's directory; in a plan,
from the plan's folder.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from derm_ml.config.common import COLLECTIONS, CommonConfig
from derm_ml.config.heads import AblateConfig, CompareConfig, FinetuneConfig
from derm_ml.config.pretraining import PretrainConfig
from derm_ml.errors import UserError

C = TypeVar("C", bound=CommonConfig)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_PATTERN = re.compile(r"[{*?\[]")


@dataclass(frozen=True)
class Given:
    """A parameter that was given and names a file or a folder.

    Attributes:
        value: as it was given. path: absolute; links are followed where it has `..` only.
        plan: the plan that gives it; None: the command line.
    """

    name: str
    value: str
    path: Path
    plan: Path | None = None

    @property
    def there(self) -> Path:
        """Itself; of a pattern of files, `shards/{0000..0012}.tar` or `*.parquet`, the folder that all are below."""
        path = self.path
        while not os.path.exists(path) and _PATTERN.search(str(path)):  # noqa: PTH110 (False where it may not be asked)
            path = path.parent
        return path

    @property
    def read(self) -> Path:
        """What is read when it is: of a collection's table also what lies beside it."""
        beside = COLLECTIONS[0] in PATHS[self.name] and self.there.is_file()
        return self.there.parent if beside else self.there

    def check(self) -> None:
        """It is there, and may be read.

        Raises:
            UserError: one line with the parameter, what it was and what to do.
        """
        shown = f"{self.name}={self.value}" if self.plan is None else f"plan={self.plan}: {self.name}={self.value}"
        if not os.path.exists(self.there):  # noqa: PTH110
            where = "" if str(self.there) == self.value else f" ({self.there})"
            words = ", ".join(PATHS[self.name])
            other = f", and it is none of {words}" if words and "/" not in self.value else ""
            raise UserError(f"{shown}: there is nothing at this path{where}{other}")
        if not os.access(self.there, os.R_OK | (os.X_OK if self.there.is_dir() else 0)):
            raise UserError(f"{shown}: you may not read it: check its permissions")


def path_fields(*kinds: type[CommonConfig]) -> dict[str, tuple[str, ...]]:
    """The fields that may name a file or a folder, each with the words that do not."""
    found: dict[str, tuple[str, ...]] = {}
    for kind in kinds:
        for item in fields(kind):
            if "path" in item.metadata:
                found[item.name] = tuple(dict.fromkeys((*found.get(item.name, ()), *item.metadata["path"])))
    return found


PATHS = path_fields(PretrainConfig, FinetuneConfig, CompareConfig, AblateConfig)  # a name means the same everywhere
IN_PLAN = tuple(path_fields(PretrainConfig))


def located(name: str, value: str, here: Path, plan: Path | None = None) -> Given | None:
    """What a value of a parameter names, relative to a folder; None where it names no path."""
    if not value.strip() or value.partition(":")[0] in PATHS[name] or _ADDRESS.match(value):
        return None
    path = Path(value)
    if value.startswith("~"):
        with suppress(RuntimeError):  # no such user: the check says that there is nothing
            path = path.expanduser()
    return Given(name, value, (here / path).resolve() if ".." in path.parts else here / path, plan)


def given_paths(parameters: Mapping[str, str], here: Path) -> list[Given]:
    """Every file and folder that parameters name, and that their plan names."""
    found = [located(name, parameters[name], here) for name in PATHS if name in parameters]
    plan = located("plan", parameters.get("plan", ""), here)
    if plan:
        with suppress(OSError, ValueError):  # the entry point says in full what is wrong with it
            tables = tomllib.loads(plan.path.read_text(encoding="utf-8"))
            found += [given for table in _tables(tables) for given in in_plan(table, plan.path).values()]
    return [each for each in found if each]


def with_paths(config: C, here: Path) -> C:
    """The configuration as it is, all its files being there; `~` is written out.

    Raises:
        UserError: one is not there, or may not be read.
    """
    found = given_paths({item.name: str(getattr(config, item.name)) for item in fields(config)}, here)
    for each in found:
        each.check()
    home: dict[str, Any] = {each.name: str(each.path) for each in found if not each.plan and each.value[0] == "~"}
    return replace(config, **home)


def in_plan(table: Mapping[str, Any], plan: Path) -> dict[str, Given]:
    """The files and folders that a table of a plan names."""
    texts = {name: table[name] for name in IN_PLAN if isinstance(table.get(name), str)}
    found = {name: located(name, text, plan.absolute().parent, plan) for name, text in texts.items()}
    return {name: given for name, given in found.items() if given}


def _tables(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    arms = plan.get("arms", {})
    every = [plan.get("common", {}), *(arms.values() if isinstance(arms, dict) else ())]
    return [table for table in every if isinstance(table, dict)]
