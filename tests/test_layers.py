"""Imports point to lower layers only; only tracking and the service know MLflow; the command line starts at once."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "derm_ml"
LAYERS = {"data": 1, "models": 1, "objectives": 2, "training": 3, "pipelines": 4, "report": 5, "search": 5, "cli": 5}
LAYERS |= {"tracking": 5, "service": 5, "__main__": 5}


def layer(module: str) -> int:
    """The layer of `derm_ml.x.y`; what is not named above is at the bottom."""
    if module.startswith("derm_ml.tracking.base"):
        return 0
    return LAYERS.get(module.split(".")[1] if "." in module else "", 0)


def imports(module: str, text: str) -> set[str]:
    """Every module that a file imports, wherever in it, relative ones made absolute."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            # `from derm_ml import cli` names its modules after the import, other packages mostly do not
            packages = source in ("derm_ml", "derm_ml.tracking")
            found |= {f"{source}.{alias.name}" for alias in node.names} if packages else {source}
    return found


def violations(module: str, text: str) -> list[str]:
    own, wrong = module.split(".")[1], []
    for name in sorted(imports(module, text)):
        if name.split(".")[0] == "mlflow":
            if own not in ("tracking", "service") or layer(module) == 0:
                wrong.append(f"{module} imports {name}")
        elif name.split(".")[0] == "optuna":
            if own != "search":
                wrong.append(f"{module} imports {name}")
        elif name.startswith("derm_ml."):
            target = name.split(".")[1]
            sibling = layer(module) == layer(name) == 1 and own != target
            # the report draws what it is handed: it knows no model, no pipeline and no tracker
            reaches = own == "report" and target != "report" and layer(name) > 0
            if layer(name) > layer(module) or sibling or reaches:
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
    assert violations("derm_ml.pipelines.x", "from derm_ml.tracking import mlflow")
    assert violations("derm_ml.tracking.base", "import mlflow.pytorch")
    assert violations("derm_ml.pipelines.x", "import optuna")
    assert violations("derm_ml.search.x", "import mlflow")
    assert not violations("derm_ml.search.x", "from optuna.trial import FrozenTrial")
    assert violations("derm_ml.training.x", "from derm_ml import cli")
    assert violations("derm_ml.data.x", "from ..models import vae")
    assert violations("derm_ml.report.x", "from derm_ml.pipelines import compare")
    assert not violations("derm_ml.pipelines.x", "from derm_ml.tracking.base import Tracker")
    assert not violations("derm_ml.tracking.mlflow", "import mlflow\nfrom derm_ml import __version__")
    assert not violations("derm_ml.report.x", "from derm_ml.results import ArmRun")


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
