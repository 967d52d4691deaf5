"""Classes named as people name them, from a table through pretrain, finetune and compare to the registry and report."""

import json
import os
import subprocess
import sys
from unicodedata import normalize

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_ml.data.dataset import prepare
from derm_ml.tracking.names import unescape
from derm_ml.tracking.runs import connect

CLASSES = (
    "melanoma (in situ)", "naevus, \"blue\" & it's", "lentigo/ephelis", "../50 % #1|$x$ <b>", "..", "ne\u0301vus",
    "黑色素瘤 سرطان \U0001f9a0", "n" * 300,
)  # fmt: skip
EACH = 15


@pytest.fixture
def collection(tmp_path):
    generator, rows = np.random.default_rng(0), []
    (tmp_path / "images").mkdir()
    for number, name in enumerate(CLASSES):
        for image in range(EACH):
            pixels = generator.normal(40 + 22 * number, 30, (40, 40, 3)).clip(0, 255).astype("uint8")
            path = f"images/{number}_{image}.png"
            Image.fromarray(pixels).save(tmp_path / path)
            spelt = normalize("NFC", name) if image % 2 else name  # one class, typed in two ways
            rows.append((path, spelt, f"lesion {number}-{image}"))
    pd.DataFrame(rows, columns=["path", "label", "group"]).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_an_accent_is_one_class_however_it_is_typed(collection):
    dataset = prepare(str(collection), 32, 0)
    assert set(dataset.classes) == {normalize("NFC", name) for name in CLASSES}
    assert set(dataset.table["label"].value_counts()) == {EACH}


@pytest.mark.slow
def test_names_reach_metrics_registry_and_report(database, collection, tmp_path):
    def derm_ml(*words):
        command = [sys.executable, "-W", "error::UserWarning:matplotlib", "-m", "derm_ml", *words]
        command += ["--data", str(collection), "--image-size", "32", "--backbone", "test_efficientnet"]
        environment = {**os.environ, "DERM_ML_RUNS": str(tmp_path / "runs"), "DERM_ML_REPORTS": str(tmp_path / "r")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "missing from font" not in done.stderr
        return done.stdout

    names = {normalize("NFC", name) for name in CLASSES}
    derm_ml("pretrain", "--epochs", "1", "--latent-dim", "4")
    client = connect()
    version = client.get_model_version_by_alias("derm-encoder", "champion")
    assert set(json.loads(version.tags["data.classes"])) == names
    assert "over 8 classes: " in version.description
    assert "melanoma (in situ)" in version.description
    assert "#1\\|\\$x\\$ \\<b\\>" in version.description

    derm_ml("finetune", "--epochs", "2", "--encoder", "models:/derm-encoder@champion")
    experiment = client.get_experiment_by_name("derm_ml").experiment_id
    run = client.search_runs([experiment], "tags.arm = 'vae'")[0]
    told = {unescape(key, run.data.tags).removeprefix("val/recall/"): key for key in run.data.metrics}
    assert names <= set(told)
    assert told["melanoma (in situ)"] == "val/recall/melanoma _x28_in situ_x29_"
    assert [row.step for row in client.get_metric_history(run.info.run_id, told["n" * 300])] == [1, 2]

    arms = ["--arms", "vae,random,majority", "--protocols", "identical", "--seeds", "1"]
    report = tmp_path / "r" / derm_ml("compare", "--epochs", "1", *arms).strip().rsplit("/", 2)[-2]
    page = (report / "report.html").read_text()
    assert "<b>" not in page.partition("<main>")[2].replace("<b>x</b>", "")
    assert "../50 % #1|$x$ &lt;b&gt;" in page
    recall = pd.read_csv(report / "recall.csv", keep_default_na=False)
    assert set(recall["class"]) == names
    nested = client.search_runs([experiment], "tags.arm = 'random'")[0]
    assert any(unescape(key) == "test/recall/.." for key in nested.data.metrics)
