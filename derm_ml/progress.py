"""Long work shows itself: a bar with rate and remaining time on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a long loop reports to."""

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None:
        """Show `text` (the latest loss, say) beside the bar."""


class _Bar:
    def __init__(self, bar, task) -> None:  # type: ignore[no-untyped-def]
        self._bar, self._task = bar, task

    def advance(self, amount: int = 1) -> None:
        self._bar.advance(self._task, amount)

    def note(self, text: str) -> None:
        self._bar.update(self._task, note=text)


class _Lines:
    """At most one line every `every` seconds, so that a log stays readable."""

    def __init__(self, title: str, total: int, unit: str, every: float = 15.0) -> None:
        self._title, self._total, self._unit, self._every = title, total, unit, every
        self._done, self._note = 0, ""
        self._start = self._last = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        if time.monotonic() - self._last >= self._every:
            self._print()

    def note(self, text: str) -> None:
        self._note = text

    def _print(self) -> None:
        self._last = time.monotonic()
        rate = self._done / max(self._last - self._start, 1e-9)
        line = f"{self._title}: {self._done:,}/{self._total:,} {self._unit}"
        if rate:
            line += f", {speed(rate, self._unit)}, {(self._total - self._done) / rate:,.0f} s left"
        print(f"{line}  {self._note}".rstrip(), file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, unit: str = "images") -> Iterator[Progress]:
    """Report `total` units of work: a rich bar on a terminal, otherwise a line every 15 s (on stderr)."""
    if not sys.stderr.isatty():
        yield _Lines(title, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with _RatedProgress(RichProgress(*columns, console=Console(stderr=True)), unit) as bar:
        yield _Bar(bar, bar.add_task(title, total))


class _RatedProgress:
    """Adds units per second to rich's bar (its own speed column counts bytes)."""

    def __init__(self, bar, unit: str) -> None:  # type: ignore[no-untyped-def]
        self._bar, self._unit = bar, unit

    def __enter__(self) -> _RatedProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add_task(self, title: str, total: int):  # type: ignore[no-untyped-def]
        return self._bar.add_task(title, total=total, rate="", note="")

    def advance(self, task, amount: int) -> None:  # type: ignore[no-untyped-def]
        self._bar.advance(task, amount)
        rate = self._bar.tasks[task].speed
        self._bar.update(task, rate=speed(rate, self._unit) if rate else "")

    def update(self, task, note: str) -> None:  # type: ignore[no-untyped-def]
        self._bar.update(task, note=note)


def speed(rate: float, unit: str) -> str:
    """Units a second, or a minute or an hour where that reads better."""
    for factor, name in ((1, "s"), (60, "min")):
        if rate * factor >= 1:
            return f"{rate * factor:,.0f} {unit}/{name}"
    return f"{rate * 3600:,.1f} {unit}/h"


def note_line(text: str) -> None:
    """One line beside the bars, on stderr: what a person who watches must know."""
    print(f"derm-ml: {text}", file=sys.stderr, flush=True)
