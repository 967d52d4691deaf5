"""Arguments made from the configuration dataclasses: one list of names, types, defaults and help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, NoReturn

from derm_ml.cli import registry, service
from derm_ml.config import AblateConfig, CommonConfig, CompareConfig, FinetuneConfig, PretrainConfig
from derm_ml.errors import UserError

ENTRY_POINTS: dict[str, type[CommonConfig]] = {
    "pretrain": PretrainConfig,
    "finetune": FinetuneConfig,
    "compare": CompareConfig,
    "ablate": AblateConfig,
}
READING = ("label", "group", "image", "split", "classes")  # what settles how a collection is read
TYPES = {"str": str, "int": int, "float": float}


class _Parser(argparse.ArgumentParser):
    def __init__(self, **given: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **given})  # a parameter that is misspelt is none

    def error(self, message: str) -> NoReturn:
        """One line for people instead of the usage."""
        raise UserError(f"{message} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    """The parser of `derm-ml`."""
    parser = _Parser(prog="derm-ml", description="Does pretraining on dermatology images alone beat ImageNet transfer?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, kind in ENTRY_POINTS.items():
        text = (kind.__doc__ or "").strip()
        command = commands.add_parser(name, help=text, description=text)
        for item in fields(kind):
            if item.name == "plan":  # what an ablation is about: `derm-ml ablate FILE`
                command.add_argument("plan", metavar="FILE", help=item.metadata["help"])
                continue
            command.add_argument(
                "--" + item.name.replace("_", "-"),
                dest=item.name,
                type=TYPES[str(item.type)],
                default=item.default,
                metavar=str(item.type).upper(),
                help=f"{item.metadata['help'].replace('%', '%%')} (default: {item.default})",
            )
        _debug(command)
    data = commands.add_parser("data", help="look at a data set before using it")
    check = data.add_subparsers(dest="action", required=True, parser_class=_Parser).add_parser(
        "check", help="what was found, the class table, and every refused image with its reason"
    )
    check.add_argument("data", help="as in --data")
    for item in fields(CommonConfig):
        if item.name in READING:
            check.add_argument("--" + item.name, default="", metavar="STR", help=item.metadata["help"])
    check.add_argument("--image-size", type=int, default=64, help="side to decode to, in pixels (default: 64)")
    check.add_argument("--split-seed", type=int, default=0, help="seed of the split (default: 0)")
    check.add_argument("--html", metavar="FILE", help="write the check as a page, with pictures, to FILE")
    _debug(check)
    demo = commands.add_parser("demo", help="pretrain, finetune every arm and compare, through mlflow run")
    demo.add_argument("--data", default="synthetic", help="as in pretrain (default: synthetic)")
    _debug(demo)
    registry.add_parser(commands)
    service.add_parser(commands)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line.

    Raises:
        UserError: it is none of ours; with the nearest name.
    """
    arguments, unknown = build_parser().parse_known_args(words)
    if not unknown:
        return arguments
    name = next((word for word in unknown if word.startswith("-")), unknown[0]).split("=")[0]
    kind = ENTRY_POINTS.get(arguments.command)
    close = get_close_matches(name, ["--" + item.name.replace("_", "-") for item in fields(kind)] if kind else [], n=1)
    hint = f": did you mean {close[0]}?" if close else ""
    raise UserError(f"{name} is not known{hint} (see derm-ml {arguments.command} --help)")


def _debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def config_from(arguments: argparse.Namespace) -> CommonConfig:
    """The configuration of an entry point's arguments.

    Raises:
        UserError: a value out of range.
    """
    kind = ENTRY_POINTS[arguments.command]
    return kind(**{item.name: getattr(arguments, item.name) for item in fields(kind)})
