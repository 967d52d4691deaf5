"""From a command line to an exit code: 0 done, 2 something the user can put right, 130 Ctrl-C, 1 a defect."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from derm_ml.cli.arguments import ENTRY_POINTS, READING, config_from, parse
from derm_ml.config.paths import with_paths
from derm_ml.errors import UserError

GRACE = 2.0  # s that threads get to end by themselves after an interruption


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):  # names and classes are of any alphabet, terminals are not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        _run(words)
    except UserError as error:
        return _failed(error, words, 2)
    except KeyboardInterrupt as stopped:
        print(f"derm-ml: interrupted{f'; {stopped}' if str(stopped) else ''}", file=sys.stderr)
        if argv is None:
            _leave(130)
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 (the door: a defect is said in one line, and with --debug in full)
        return _failed(error, words, 1)
    return 0


def _run(words: list[str]) -> None:
    arguments = parse(words)
    if arguments.command in ENTRY_POINTS:
        config = with_paths(config_from(arguments), Path.cwd())
        from derm_ml.tracking.server import check_server, tracking_uri

        check_server(tracking_uri())
        from derm_ml.cli import commands

        commands.run(arguments.command, config)
    elif arguments.command == "data":
        from derm_ml.config import CommonConfig
        from derm_ml.data.dataset import describe, prepare
        from derm_ml.data.page.html import check_target, page, write_page
        from derm_ml.data.source import Reading

        given = {name: getattr(arguments, name) for name in ("data", *READING, "image_size", "split_seed")}
        config = CommonConfig(**given)
        if arguments.html:
            check_target(Path(arguments.html))
        dataset = prepare(config.data, config.image_size, config.split_seed, reading=Reading.of(config))
        print(describe(dataset))
        if arguments.html:
            write_page(page(dataset), Path(arguments.html))
            print(f"page: {arguments.html}")
    elif arguments.command == "registry":
        from derm_ml.cli import registry

        registry.run(arguments)
    elif arguments.command == "service":
        from derm_ml.cli import service

        service.run(arguments)
    else:
        from derm_ml.cli.demo import demo

        demo(arguments.data)


def _failed(error: Exception, words: list[str], code: int) -> int:
    if "--debug" in words:
        traceback.print_exception(error)
    kind = "" if code == 2 else f"{type(error).__name__}: "
    hint = "" if code == 2 or "--debug" in words else " (--debug shows where)"
    print(f"derm-ml: {kind}{error}{hint}", file=sys.stderr)
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if run_id and words[:1] and words[0] in ENTRY_POINTS:
        from derm_ml.tracking.runs import fail_run

        try:
            fail_run(run_id, str(error))
        except Exception as second:  # noqa: BLE001 (the first error is what matters)
            print(f"derm-ml: run {run_id} could not be marked FAILED: {second}", file=sys.stderr)
    return code


def _leave(code: int) -> None:
    """End now where a thread still waits, for a disk that does not answer, say: Python's own exit would wait for it."""
    waiting = [each for each in threading.enumerate() if each is not threading.current_thread() and not each.daemon]
    deadline = time.monotonic() + GRACE
    for thread in waiting:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in waiting):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The first signal stops the work; further ones are ignored while runs are being closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
