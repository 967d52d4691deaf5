"""A new objective is one file: what lies in a kind's folder can be chosen, and defines what it is named."""

import subprocess
import sys
from pathlib import Path

import pytest

import derm_ml
from derm_ml.config import INVARIANCES, LIKELIHOODS, REGULARISERS
from derm_ml.objectives import load

KINDS = {"regularisers": REGULARISERS, "likelihoods": LIKELIHOODS, "invariances": INVARIANCES}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names])
def test_a_file_defines_what_it_is_named(kind, name):
    assert callable(load(kind, name))


def test_a_file_that_is_added_can_be_chosen_at_once(tmp_path):
    """In a copy of the package."""
    import shutil

    shutil.copytree(Path(derm_ml.__file__).parent, tmp_path / "derm_ml", ignore=shutil.ignore_patterns("__pycache__"))
    added = tmp_path / "derm_ml" / "objectives" / "regularisers" / "squared.py"
    added.write_text(
        "def squared(*, beta, **others):\n"
        "    return lambda posterior, z, share: share * beta * posterior.mean.square().sum(dim=1)\n"
    )
    command = [sys.executable, "-m", "derm_ml", "pretrain", "--data", "synthetic:n=60,size=32,seed=0"]
    command += ["--image-size", "32", "--backbone", "derm_small", "--epochs", "1", "--regulariser", "squared"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    wrong = subprocess.run([*command[:-1], "cubed"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "squared" in wrong.stderr
