"""`derm-ml data check` of two checkouts, cold and warm, in turns: ratios that hold on a machine that is not quiet.

    python benchmarks/data_check.py OLD NEW --data ../shared/data/ham10000 [--turns 3]

Each run is a process of its own, with an empty cache when cold. Times are the medians of the turns; the memory is the
largest of a process and its children.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(checkout: Path, data: Path, cache: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and peak memory in MB of one check."""
    before = os.times()
    started = time.perf_counter()
    command = [sys.executable, "-m", "derm_ml", "data", "check", str(data)]
    environment = os.environ | {"DERM_ML_CACHE": cache}
    process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read()
    told = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{checkout}: {told.decode()}")
    seconds, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs=2, type=Path, metavar=("OLD", "NEW"))
    parser.add_argument("--data", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    found: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
    for _ in range(asked.turns):
        for number, checkout in enumerate(asked.checkouts):
            with tempfile.TemporaryDirectory() as cache:
                found.setdefault((number, "cold"), []).append(timed(checkout, asked.data, cache))
                time.sleep(2)  # files read within 2 s of their last change are not remembered
                found.setdefault((number, "warm"), []).append(timed(checkout, asked.data, cache))
    for state in ("cold", "warm"):
        old, new = (
            [statistics.median(column) for column in zip(*found[number, state], strict=True)] for number in (0, 1)
        )
        for at, unit in enumerate(("s", "s of CPU", "MB")):
            print(f"{state}: old {old[at]:,.1f} {unit}, new {new[at]:,.1f} {unit}, new / old {new[at] / old[at]:.2f}")


if __name__ == "__main__":
    main()
