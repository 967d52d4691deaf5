"""MLflow's UI as people use it, in a real browser, with a login. DERM_ML_PICTURES=DIR keeps the pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import mlflow
import pytest
import requests
from mlflow import MlflowClient

pytestmark = [pytest.mark.service, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
# The table of metrics is a grid of placed cells: those at the height of a metric's name, as [left edge, text].
CELLS = """name => {
  const top = each => each.getBoundingClientRect().top;
  const link = [...document.querySelectorAll('a[title="Plot chart"]')].find(each => each.textContent.trim() === name);
  const own = link.closest('div[style*="top:"]');
  return [...document.querySelectorAll('div[style*="top:"]')]
    .filter(each => each !== own && Math.abs(top(each) - top(own)) < 2 && each.innerText.trim())
    .map(each => [each.getBoundingClientRect().left, each.innerText.trim()]);
}"""
ARMS = ("vae", "imagenet", "random", "pixels", "majority")


@pytest.fixture(scope="module")
def runs(native, tmp_path_factory) -> dict[str, str]:
    """A pretraining and a comparison as `mlflow run` makes them; IDs by run name, and the experiment's."""
    folder = tmp_path_factory.mktemp("ui")
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": native.uri,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": native.settings["MLFLOW_ADMIN_PASSWORD"],
        "DERM_ML_RUNS": str(folder / "runs"),
        "DERM_ML_REPORTS": str(folder / "reports"),
    }
    common = ["-b", "host", "--experiment-name", "lesions", "-P", "data=synthetic:n=200"]
    quick = ["epochs=1", "image_size=32", "backbone=test_efficientnet", "latent_dim=8", "trials=3"]
    search = [word for each in quick for word in ("-P", each)]
    for entry, words in (
        ("pretrain", ["-P", "epochs=3"]),
        ("compare", ["-P", "seeds=1", "-P", "protocols=identical"]),
        ("pretrain", search),
    ):
        command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", entry, *common, *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    os.environ |= {key: environment[key] for key in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")}
    try:
        mlflow.set_tracking_uri(native.uri)
        experiment = MlflowClient().get_experiment_by_name("lesions").experiment_id
        found = {run.info.run_name: run.info.run_id for run in MlflowClient().search_runs([experiment])}
    finally:
        del os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]
    return found | {"experiment": experiment}


@pytest.fixture(scope="module")
def look(native) -> Iterator:
    """Open a page of the UI, wait for a text in it, picture it; returns the page."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser_path:
        reason = "a browser is needed (apt install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import TimeoutError as PlaywrightTimeout
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        login = {"username": "admin", "password": native.settings["MLFLOW_ADMIN_PASSWORD"]}
        page = browser.new_context(http_credentials=login, viewport={"width": 1300, "height": 900}).new_page()
        page.set_default_timeout(60_000)
        page.goto(native.uri)
        page.evaluate("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        page.evaluate("localStorage.setItem('mlflow.assistant.panel.open', 'false')")

        def open_page(name: str, path: str, *texts: str):
            # the page is a program that loads in pieces: on a busy machine a second look may be needed
            for patience in (45_000, 90_000, 90_000):
                page.goto("about:blank")
                page.goto(f"{native.uri}/#{path}")
                try:
                    for text in texts:
                        page.get_by_text(text).first.wait_for(timeout=patience)
                    break
                except PlaywrightTimeout:
                    seen = page.inner_text("body")[-500:]
            else:
                pytest.fail(f"{path} does not show {texts}, but: {seen}")
            page.wait_for_timeout(1500)
            pictures = os.environ.get("DERM_ML_PICTURES")
            if pictures:
                page.screenshot(path=str(Path(pictures) / f"service_{name}.png"))
            return page

        yield open_page
        browser.close()


def test_runs_of_a_comparison_stand_side_by_side(runs, look, native):
    ids, experiments = ([runs[f"{arm}-seed0"] for arm in ARMS], [runs["experiment"]])
    where = f"runs={quote(json.dumps(ids))}&experiments={quote(json.dumps(experiments))}"
    page = look("compare", f"/compare-runs?{where}", "Comparing 5 Runs", "gap/loss")
    text = page.inner_text("body")
    for name in ("gap/loss", "gap/accuracy", *(f"{arm}-seed0" for arm in ARMS)):
        assert name in text, name
    columns = []
    for name in ("gap/loss", "test/auroc"):
        cells = page.evaluate(CELLS, name)
        assert len([value for _, value in cells if float(value) < 10]) == len(ARMS), (
            f"{name}, a value for each arm: {cells}"
        )
        columns.append(sorted(left for left, _ in cells))
    assert columns[0] == columns[1], "the values of a run stand below each other"
    login = ("admin", native.settings["MLFLOW_ADMIN_PASSWORD"])
    answers = [
        requests.get(f"{native.uri}/api/2.0/mlflow/runs/get?run_id={run}", auth=login, timeout=30).json() for run in ids
    ]
    names = [{metric["key"] for metric in answer["run"]["data"]["metrics"]} for answer in answers]
    assert len(names[0]) > 10
    assert all(each == names[0] for each in names), "every arm has the same metrics, so their rows are aligned"


def test_the_gap_of_the_arms_in_one_chart(runs, look):
    ids, name = json.dumps([runs[f"{arm}-seed0"] for arm in ARMS]), json.dumps("gap/loss")
    path = f"/metric?runs={quote(ids)}&metric={quote(name)}&experiments={quote(json.dumps([runs['experiment']]))}"
    keys = f"&plot_metric_keys={quote(json.dumps(['gap/loss']))}&x_axis=step&y_axis_scale=linear"
    page = look("gap", path + keys, "Completed Runs")
    for arm in ARMS:
        page.get_by_text(f"{arm}-seed0 (gap/loss)").first.wait_for()


def test_the_trials_of_a_search_in_parallel_coordinates(runs, look):
    ids = [runs[f"trial-{number:04d}"] for number in range(3)]
    where = f"runs={quote(json.dumps(ids))}&experiments={quote(json.dumps([runs['experiment']]))}"
    page = look("parallel", f"/compare-runs?{where}", "Parallel Coordinates Plot")
    page.get_by_text("Parallel Coordinates Plot").first.click()
    axes = page.locator("svg .parcoords, .parcoords")
    axes.first.wait_for()
    drawn = axes.first.text_content() or page.inner_text("body")
    assert "pretrain.beta" in drawn
    assert "pretrain.lr" in drawn, "the parameters that vary are the axes"


def test_data_set_and_figures_of_a_run(runs, look):
    base = f"/experiments/{runs['experiment']}/runs/{runs['pretrain']}"
    look("run", base, "synthetic-train", "derm-encoder")
    page = look("figures", base + "/artifacts/figures", "reconstructions_epoch_0003.png")
    page.get_by_text("reconstructions_epoch_0003.png").first.click()
    page.locator("img[src^='blob:'], img[src*='get-artifact'], canvas, .rc-image img").first.wait_for()


def test_the_registry(runs, look):
    look("registry", "/models/derm-encoder", "champion", "Version 1")
    page = look("version", "/models/derm-encoder/versions/1", "champion", "pretrain")
    page.get_by_text("Description").first.click()
    page.get_by_text("Dermatology encoder").first.wait_for()
