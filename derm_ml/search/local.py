"""Several workers on this machine: a process each, which join the study as those of other machines do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from derm_ml.config import SearchConfig
from derm_ml.errors import UserError
from derm_ml.progress import progress
from derm_ml.search.study import Study
from derm_ml.workers import run_workers


def start_workers(config: SearchConfig, entry: str, study: Study, run_id: str, folder: Path) -> None:
    """Start `config.workers` processes, show the study's progress, wait for all of them.

    Raises:
        UserError: none of them came to its end. KeyboardInterrupt: they were stopped, and have closed their trials.
    """
    shown = study.counts().spent
    with progress("Search", config.trials - shown, "trials") as bar:

        def look() -> None:
            nonlocal shown
            spent = study.counts().spent
            bar.advance(spent - shown)
            shown = spent

        failed = run_workers(replace(config, study=study.name), entry, run_id, folder, look)
    if len(failed) == config.workers:
        raise UserError(f"no worker came to its end: {failed[0]}")
