"""The benchmark that says how often the verdict is wrong runs, and its table counts rightly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("shared", [[], ["--shared"]])
def test_two_simulated_comparisons(tmp_path, shared):
    out = tmp_path / "rates.jsonl"
    words = ["--data", "synthetic:n=240,size=64", "--images", "200", "--comparisons", "2", "--splits", "1,2"]
    command = [sys.executable, str(ROOT / "benchmarks" / "verdict_rates.py"), *words, *shared, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--workers", "1"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 2 * 2 * 6
    assert {row["splits"] for row in rows} == {1, 2}
    assert any(row["difference"] != 0 for row in rows)


def test_the_table_counts(tmp_path):
    lines = []
    for number in range(10):
        for measure in ("macro AUROC", "ECE"):
            called = number == 3 and measure == "ECE"
            row = {
                "comparison": number,
                "noise": 0.0,
                "data": "d",
                "splits": 3,
                "measure": measure,
                "difference": 0.01,
            }
            row |= {
                "low": -0.01,
                "high": 0.03,
                "p": 0.01 if called else 0.4,
                "word": "worse" if called else "not shown",
            }
            lines.append(json.dumps(row))
            found = {**row, "noise": 0.5, "word": "better", "p": 0.001, "difference": 0.08}  # outside its own interval
            lines.append(json.dumps(found))
    path = tmp_path / "rates.jsonl"
    path.write_text("\n".join(lines))
    table = str(ROOT / "benchmarks" / "verdict_table.py")
    figure = tmp_path / "power.png"
    said = subprocess.run(
        [sys.executable, table, str(path), "--figure", str(figure)], capture_output=True, text=True, check=True
    ).stdout
    assert "10.0 % [0.3, 44.5]" in said  # one of ten, Clopper and Pearson
    assert "0.0 % [0.0, 30.8]" in said
    assert "100.0 % [69.2, 100.0]" in said  # all planted ones were called
    assert "0.0800" in said
    assert figure.is_file()
