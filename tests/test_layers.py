"""Imports point to lower layers only; the only MLflow is in tracking; the command line starts at once."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "derm_ml"
LAYERS = {"data": 1, "models": 1, "objectives": 2, "training": 3, "pipelines": 4, "report": 5, "cli": 5}
LAYERS |= {"tracking": 5, "__main__": 5}


def layer(module: str) -> int:
    """The layer of `derm_ml.x.y`; what is not named above is at the bottom."""
    if module.startswith("derm_ml.tracking.base"):
        return 0
    return LAYERS.get(module.split(".")[1] if "." in module else "", 0)


def imports(text: str) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def violations(module: str, text: str) -> list[str]:
    own, wrong = module.split(".")[1], []
    for name in sorted(imports(text)):
        if name == "mlflow" or name.startswith("mlflow."):
            if own != "tracking":
                wrong.append(f"{module} imports {name}")
        elif name.startswith("derm_ml."):
            sibling = layer(module) == layer(name) == 1 and own != name.split(".")[1]
            if layer(name) > layer(module) or sibling:
                wrong.append(f"{module} imports {name}")
    return wrong


def test_imports_point_downwards():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(["derm_ml", *path.relative_to(PACKAGE).with_suffix("").parts])
        wrong += violations(module, path.read_text())
    assert wrong == []


def test_the_rule_can_fail():
    assert violations("derm_ml.models.x", "from derm_ml.data.dataset import y")
    assert violations("derm_ml.training.x", "def f():\n    import derm_ml.pipelines.compare")
    assert violations("derm_ml.pipelines.x", "from mlflow import MlflowClient")
    assert not violations("derm_ml.pipelines.x", "from derm_ml.tracking.base import Tracker")


def test_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, derm_ml.cli.arguments as a; a.build_parser();"
        "print([m for m in ('torch', 'mlflow', 'pandas', 'numpy', 'matplotlib', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_outgrows_its_subject():
    long = {p.name: n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 330}
    assert long == {}
