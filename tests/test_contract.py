"""MLproject, the parsers, the README and the package say the same."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import derm_ml
from derm_ml.cli.arguments import ENTRY_POINTS, build_parser

ROOT = Path(__file__).resolve().parents[1]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
README = (ROOT / "README.md").read_text()


def test_the_entry_points_are_the_same():
    assert list(PROJECT["entry_points"]) == list(ENTRY_POINTS)


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_each_parameter_has_the_parsers_default_and_type(name):
    theirs = PROJECT["entry_points"][name]["parameters"]
    ours = {item.name: item for item in fields(ENTRY_POINTS[name])}
    assert list(theirs) == list(ours)
    for key, item in ours.items():
        kind = "string" if item.type == "str" else "float"
        assert theirs[key] == {"type": kind, "default": item.default}, key
        assert f"# {item.metadata['help']}" in (ROOT / "MLproject").read_text()


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_each_command_parses_with_its_defaults(name):
    entry = PROJECT["entry_points"][name]
    values = {key: shlex.quote(str(each["default"])) for key, each in entry["parameters"].items()}
    words = shlex.split(entry["command"].format(**values))
    assert words[:2] == ["python", f"entrypoints/{name}.py"]
    arguments = vars(build_parser().parse_args([name, *words[2:]]))
    assert {item.name: arguments[item.name] for item in fields(ENTRY_POINTS[name])} == {
        item.name: item.default for item in fields(ENTRY_POINTS[name])
    }


def commands(text):
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, flags=re.S)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", [c for c in commands(README) if c.startswith("mlflow run")])
def test_the_readmes_mlflow_commands_exist(line):
    words = shlex.split(line)
    entry = PROJECT["entry_points"][words[words.index("-e") + 1]]
    given = [words[i + 1].split("=")[0] for i, word in enumerate(words) if word == "-P"]
    assert set(given) <= set(entry["parameters"])


@pytest.mark.parametrize("line", [c for c in commands(README) if c.startswith(".venv/bin/derm-ml")])
def test_the_readmes_other_commands_parse(line):
    build_parser().parse_args(shlex.split(line)[1:])


def test_the_readmes_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = [shlex.split(line)[1] for line in commands(README) if line.startswith("make ")]
    assert "demo" in targets
    assert "test" in targets
    assert all(re.search(rf"^{target}:.*## ", makefile, flags=re.M) for target in targets)


def test_versions_agree():
    assert PROJECT["docker_env"]["image"].endswith(":" + derm_ml.__version__)
    assert f"## {derm_ml.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_conda_installs_from_pyproject():
    steps = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    assert steps[-1] == {"pip": ["--editable ."]}
