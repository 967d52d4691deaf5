"""How long a table of a million rows takes to be read, grouped and split, and how much memory: drawn, without images.

The table is read by the reader that reads everybody's (`open_source`), which looks for a few of the files it names:
these are there, and empty. What decoding would have found is drawn.

    python benchmarks/table_scale.py [--rows 10000 100000 1000000]

Patients have 2.5 images on average, of one to three of eight classes; a tenth of the rows names no patient, but
a lesion that may; every hundredth row is near another. Each size runs in a process of its own, whose largest memory is
told; the first line is what importing alone takes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = ["nv", "mel", "bkl", "bcc", "akiec", "vasc", "df", "scc"]
SHARES = [0.6, 0.12, 0.1, 0.08, 0.05, 0.03, 0.015, 0.005]


def write_table(rows: int, path: Path) -> None:
    """As a collection has it, and those of its files that a reader looks for."""
    rng = np.random.default_rng(0)
    patients = rng.integers(0, max(1, int(0.4 * rows)), rows)
    labels = rng.choice(CLASSES, rows, p=SHARES)
    lesions = 2 * patients + rng.integers(0, 2, rows)
    unnamed = (rng.random(rows) < 0.1).tolist()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "diagnosis", "patient_id", "lesion_id", "sex", "age"])
        columns = zip(labels.tolist(), patients.tolist(), lesions.tolist(), unnamed, strict=True)
        for number, (label, patient, lesion, lacks) in enumerate(columns):
            name = "" if lacks else f"IP_{patient:07d}"
            writer.writerow([image(number), label, name, f"IL_{lesion:07d}", "female", 5 * (patient % 18)])
    (path.parent / "images").mkdir()
    for number in range(0, rows, max(1, rows // 50)):
        (path.parent / image(number)).touch()


def image(number: int) -> str:
    return f"images/ISIC_{number:07d}.jpg"


def measure(path: Path) -> dict[str, float]:
    """Seconds of each step, and MiB at the most."""
    from derm_ml.data.cache import Cache
    from derm_ml.data.dataset import assemble, describe
    from derm_ml.data.sources import open_source

    taken = {"imports, MiB": peak()}
    clock = time.perf_counter(), time.process_time()

    def step(name: str) -> None:
        nonlocal clock
        now = time.perf_counter(), time.process_time()
        taken[name], taken[f"{name}, CPU"] = now[0] - clock[0], now[1] - clock[1]
        clock = time.perf_counter(), time.process_time()

    source = open_source(str(path))
    step("read")
    records = source.records
    if set(records["group"].str[:3]) != {"pat", "les"} or records["label"].nunique() != len(CLASSES):
        raise SystemExit(f"read wrong: {source.choices}")
    # What decoding would have found: contents of 256 bits, one row in a hundred nearly another one.
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in records["image_id"].tolist()}
    contents = sorted(digests.values())
    near = list(zip(contents[::100], contents[1::100], strict=False))
    images = np.broadcast_to(np.uint8(0), (len(contents), 64, 64, 3))
    cache = Cache(images, {content: row for row, content in enumerate(contents)}, digests, [], [], near)
    del contents, near
    step("(stand-in for decoding)")
    taken["with stand-in, MiB"] = peak()
    dataset = assemble(source, cache, 64, 0)
    step("checked, grouped, split")
    described = describe(dataset)
    step("described")
    steps = ("read", "checked, grouped, split", "described")
    taken["seconds"] = sum(taken[name] for name in steps)
    taken["CPU seconds"] = sum(taken[f"{name}, CPU"] for name in steps)
    taken["MiB"] = peak()
    print(described, file=sys.stderr)
    return taken


def peak() -> float:
    """MiB at the most so far. (`ru_maxrss` would begin with the parent's.)"""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    found = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write_table(rows, path)
            done = subprocess.run(
                [sys.executable, __file__, "--measure", str(path)], check=True, capture_output=True, text=True
            )
            found[f"{rows:,}"] = json.loads(done.stdout)
            print(done.stderr if rows == options.rows[-1] else "", file=sys.stderr)
    print(pd.DataFrame(found).round(2).to_string())


if __name__ == "__main__":
    main()
