"""`derm-ml registry`: what is registered, who is champion and why; promote by hand, roll back."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from derm_ml.errors import UserError


def add_parser(commands: Any) -> None:
    """The subcommands."""
    registry = commands.add_parser("registry", help="list, show, promote and roll back registered encoders")
    actions = registry.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=type(registry))
    listed = actions.add_parser("list", help="every version with its aliases, data and score")
    show = actions.add_parser("show", help="one version: facts, card, evidence; and the history of the champion")
    show.add_argument("version", nargs="?", default="@champion", help="a number or @alias (default: @champion)")
    promote = actions.add_parser("promote", help="make a version champion by hand")
    promote.add_argument("version", help="a number or @alias")
    promote.add_argument("--reason", required=True, help="why; it is kept with the version")
    back = actions.add_parser("rollback", help="the previous champion is champion again")
    back.add_argument("--reason", default="", help="why; it is kept in the history")
    for action in (listed, show, promote, back):
        action.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run(arguments: argparse.Namespace) -> None:
    """Do it, and print what was done.

    Raises:
        UserError: no such version, nothing registered, no reason.
    """
    from derm_ml.tracking import promotion
    from derm_ml.tracking.runs import connect

    client = connect()
    if arguments.action == "list":
        print(_listed(client))
    elif arguments.action == "show":
        print(_shown(client, arguments.version))
    elif arguments.action == "promote":
        version = promotion.number(promotion.known(client, arguments.version))
        promotion.promote_by_hand(client, version, arguments.reason)
        print(f"champion: version {version}, by hand: {arguments.reason}")
    else:
        before, now = promotion.rollback(client, arguments.reason)
        print(f"champion: version {now} again; version {before} is `previous`")


def _listed(client: Any) -> str:
    import pandas as pd

    from derm_ml.tracking.promotion import NAME

    versions = sorted(client.search_model_versions(f"name='{NAME}'"), key=lambda each: -int(each.version))
    if not versions:
        raise UserError(f"no version of {NAME} is registered: run `mlflow run . -e pretrain` first")
    aliases = client.get_registered_model(NAME).aliases
    rows = [
        {
            "version": version.version,
            "aliases": ",".join(sorted(name for name, number in aliases.items() if str(number) == str(version.version)))
            or "-",
            "backbone": version.tags.get("backbone", ""),
            "px": version.tags.get("image_size", ""),
            "data": f"{version.tags.get('data.kind', '')}:{version.tags.get('data.fingerprint', '')[:8]}",
            "split": version.tags.get("data.split", "")[:8],
            "score": f"{float(version.tags.get('score', 'nan')):.4f} {version.tags.get('score.name', '')}",
            "created": datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
        }
        for version in versions
    ]
    return pd.DataFrame(rows).to_string(index=False)


def _shown(client: Any, number: str) -> str:
    from derm_ml.tracking.promotion import NAME, history, known

    version = known(client, number)
    uri = f"models:/{NAME}/{version.version}"
    hidden = ("promotion.evidence",)  # in words in the card
    facts = [f"{key}: {value}" for key, value in sorted(version.tags.items()) if key not in hidden]
    moves = [
        f"{move['at']}  {move['from'] or '-'} -> {move['to']}  by {move['by']} ({move['user']}): {move['reason']}"
        for move in history(client)
    ]
    return "\n".join(
        [
            f"{uri} (run {version.run_id})",
            "",
            *facts,
            "",
            (version.description or "").strip(),
            "",
            "History of the champion, the newest last:",
            *(moves or ["none"]),
            "",
            f"download: mlflow artifacts download -u {uri}",
            f'load: mlflow.pytorch.load_model("{uri}")',
        ]
    )
