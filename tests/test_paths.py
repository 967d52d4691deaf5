"""Parameters that name files: declared at the fields, from the caller's directory, checked before there is a run."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from mlflow.projects.utils import load_project

from derm_ml.cli import main
from derm_ml.cli.arguments import ENTRY_POINTS
from derm_ml.config import AblateConfig, PretrainConfig
from derm_ml.config.paths import PATHS, given_paths, path_fields, with_paths
from derm_ml.errors import UserError
from derm_ml.pipelines.plan import read_plan
from derm_ml.tracking.runs import connect

ROOT = Path(__file__).resolve().parents[1]
HELD = re.compile(r"(?!column\b).*(\b(file|folder|CSV|TOML|table)\b|given as data is)")


def test_what_the_help_calls_a_file_is_declared_as_a_path():
    assert path_fields(*ENTRY_POINTS.values()) == PATHS
    for kind in ENTRY_POINTS.values():
        for item in fields(kind):
            if item.type == "str" and HELD.match(item.metadata["help"]):
                assert "path" in item.metadata, f"{kind.__name__}.{item.name}"


@pytest.mark.parametrize(
    "value",
    ["", " ", "synthetic", "synthetic:n=4,size=40,seed=1", "dermamnist:64", "s3://bucket/shard-{0..3}.tar", "hf://a/b"],
)
def test_what_is_no_path_is_left_alone(value, tmp_path):
    assert given_paths({"data": value, "extra": value}, tmp_path) == []


@pytest.mark.parametrize("value", ["imagenet", "random", "pixels", "auto", "models:/derm-encoder@champion", "runs:/1f"])
def test_an_encoder_by_name_is_no_path(value, tmp_path):
    assert given_paths({"encoder": value, "plan": ""}, tmp_path) == []


AWKWARD = ["a b", "a,b", "a:b", "it's", 'a"b', "näevi 黑", "a=b", "$(id)", "-x", "{x}", "[y]", "x'; touch p; '"]


@pytest.mark.parametrize("name", AWKWARD)
def test_any_name_is_found_from_the_callers_directory(name, tmp_path):
    (tmp_path / name).mkdir()
    (given,) = given_paths({"data": name}, tmp_path)
    given.check()
    assert given.path == given.read == tmp_path / name


def test_tilde_dots_and_links(tmp_path, monkeypatch):
    home, real = tmp_path / "home", tmp_path / "real" / "deep"
    home.mkdir()
    real.mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    monkeypatch.setenv("HOME", str(home))
    found = {
        each.value: each.path for each in given_paths({"data": "~", "extra": "link/..", "external": "link"}, tmp_path)
    }
    assert found == {"~": home, "link/..": tmp_path / "real", "link": tmp_path / "link"}
    assert with_paths(PretrainConfig(data="~"), tmp_path).data == str(home)
    assert with_paths(PretrainConfig(data="link"), tmp_path).data == "link", (
        "a run's parameters stay as they were typed"
    )


def test_a_pattern_of_files_needs_its_folder(tmp_path):
    (given,) = given_paths({"extra": "shard-{0000..0012}.tar"}, tmp_path)
    given.check()
    assert given.read == tmp_path
    with pytest.raises(UserError, match=r"extra=none/shard-\{0..1\}.tar: there is nothing at this path \(.*none\)"):
        given_paths({"extra": "none/shard-{0..1}.tar"}, tmp_path)[0].check()


@pytest.mark.parametrize("name", PATHS)
def test_what_is_not_there_is_one_line_that_names_the_parameter(name, tmp_path):
    for value in ("nowhere", "/nowhere/at/all", "x" * 300, "a\0b"):
        with pytest.raises(UserError, match="there is nothing at this path") as error:
            given_paths({name: value}, tmp_path)[0].check()
        assert str(error.value).startswith(f"{name}=")
        assert "\n" not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(UserError, match="data=locked: you may not read it"):
        given_paths({"data": "locked"}, tmp_path)[0].check()


def test_a_plans_paths_are_from_its_own_folder(tmp_path, monkeypatch):
    folder = tmp_path / "plans"
    (folder / "pool").mkdir(parents=True)
    plan = folder / "plan.toml"
    plan.write_text('[common]\nextra = "pool"\n[arms.a]\n[arms.b]\nextra = "gone"\n')
    found = given_paths({"plan": "plans/plan.toml", "data": "synthetic"}, tmp_path)
    assert [each.path for each in found] == [plan, folder / "pool", folder / "gone"]
    with pytest.raises(UserError, match=r"plan=.*plan.toml: extra=gone: there is nothing at this path"):
        found[2].check()
    monkeypatch.chdir(tmp_path)
    arms = read_plan(AblateConfig(plan="plans/plan.toml"))
    assert arms[0].parameters["extra"] == str(folder / "pool")
    plan.write_text("not = [toml")
    assert [each.path for each in given_paths({"plan": str(plan)}, tmp_path)] == [plan]


def test_the_command_line_makes_no_run_for_a_file_that_is_not_there(database, capsys):
    assert main(["compare", "--external", "synthetic", "--external-classes", "none.csv"]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("derm-ml:")]
    assert "external_classes=none.csv: there is nothing at this path" in said
    assert connect().search_experiments(filter_string="name = 'derm_ml'") == []


@pytest.mark.slow
def test_mlflow_run_reads_from_the_callers_directory(database, tmp_path):
    """Not from the project's, where the entry point runs."""
    (tmp_path / "plan.toml").write_text("not = [toml")
    given = ["-P", "data=synthetic:n=60", "-P", "plan=plan.toml"]
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "ablate", "-b", "host"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def run(*words):
        done = subprocess.run([*command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 2
        return done.stderr.strip().splitlines()

    assert any(f"plan={tmp_path / 'plan.toml'}: not TOML" in line for line in run(*given))
    (made,) = connect().search_runs(["0"])
    lines = run(*given, "-P", "imagenet_weights=gone.safetensors")
    assert lines[-1] == (
        f"derm-ml: imagenet_weights=gone.safetensors: there is nothing at this path ({tmp_path / 'gone.safetensors'}), "
        "and it is none of auto"
    )
    assert [each.info.run_id for each in connect().search_runs(["0"])] == [made.info.run_id]


@pytest.mark.parametrize(
    "value", ["x'; touch p; '", "$(touch p)", "`touch p`", "a b;touch p", 'x" && touch p "', "\ntouch p"]
)
def test_mlflows_own_shell_line_does_nothing_with_a_value(value, tmp_path):
    line = load_project(str(ROOT)).get_entry_point("pretrain").compute_command({"data": value}, None)
    shown = 'python() { shift; printf %s "$2"; }\n' + line
    done = subprocess.run(["bash", "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == value
    assert list(tmp_path.iterdir()) == []
