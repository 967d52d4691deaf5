"""The report's numbers, not only its existence."""

import re

import numpy as np
import pytest

from derm_ml.report.comparison import paper_table, verdict
from derm_ml.report.html import write_report
from derm_ml.report.vae import grid, save_figures
from derm_ml.results import ArmRun, Comparison, VaeSnapshot


def arm_run(arm, seed, skill, gap, labels):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels), 3)) + skill * np.eye(3)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    val = np.array([1.0, 0.8, 0.5 + seed / 100])
    history = {"val/loss": val, "train/loss": val - gap, "gap/loss": np.full(3, gap + seed / 1000)}
    history |= {"train/accuracy": 1 - val / 2, "val/accuracy": 1 - val / 2 - 0.1, "gap/accuracy": np.full(3, 0.1)}
    return ArmRun(arm=arm, seed=seed, history=history, test={}, test_probabilities=p)


def comparison(skills):
    labels = np.random.default_rng(9).integers(0, 3, 240)
    runs = [arm_run(arm, seed, *facts, labels) for arm, facts in skills.items() for seed in range(3)]
    return Comparison(
        data="somewhere", fingerprint="f" * 64, backbone="b", image_size=64, mode="frozen", features="stages",
        protocol="identical", epochs=3, classes=("a", "<script>", "c"), counts={"train": 9, "val": 5, "test": 240},
        test_labels=labels, test_groups=np.arange(240) // 2, runs=tuple(runs), encoder="models:/derm-encoder/1",
    )  # fmt: skip


GOOD, BAD = (3.0, 0.4), (0.8, 0.05)


def test_the_papers_table_by_hand():
    table = paper_table(comparison({"vae": BAD, "imagenet": GOOD})).set_index(["arm", "metric"])
    row = table.loc[("vae", "validation loss")]
    assert row["first"].startswith("1.000")
    assert row["last"].startswith("0.510 [0.485, 0.535]")
    assert row["change %"].startswith("-49.0")
    assert row["paper"] == "0.165 to 0.11 (-33.33 %)"


def test_the_verdict_turns_with_the_arms():
    worse = verdict(comparison({"vae": BAD, "imagenet": GOOD, "pixels": (1.5, 0.0)}))
    assert worse.answers[0].startswith("The VAE does not beat ImageNet transfer on test macro AUROC")
    assert worse.answers[2].startswith("The VAE arm overfits less")
    assert "nothing worth having" in worse.floors[0]
    assert worse.floors[1].startswith("imagenet beats")
    better = verdict(comparison({"vae": GOOD, "imagenet": BAD}))
    assert better.answers[0].startswith("The VAE beats ImageNet transfer on test macro AUROC")
    assert better.answers[1].startswith("The VAE beats ImageNet transfer on test log-loss")
    assert better.answers[2].startswith("The VAE arm overfits more")
    same = verdict(comparison({"vae": GOOD, "imagenet": GOOD}))
    assert same.answers[0].startswith("Neither is shown")


def test_a_missing_arm_is_no_answer():
    assert "not answered" in verdict(comparison({"vae": BAD})).answers[0]


def test_the_report_holds_everything_and_escapes(tmp_path):
    text = write_report(comparison({"vae": BAD, "imagenet": GOOD, "pixels": BAD}), tmp_path).read_text()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', text)) == {"https://arxiv.org/abs/2505.16773"}
    assert text.count("data:image/png;base64,") == 3
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"report.html", "curves.png", "forest.png", "confusion.png", "paper_table.csv", "test_table.csv"}


def test_vae_figures(tmp_path):
    pixels = np.zeros((10, 32, 32, 3), np.uint8)
    walks = np.zeros((6, 9, 32, 32, 3), np.uint8)
    snapshot = VaeSnapshot(
        epoch=12, originals=pixels, reconstructions=pixels, samples=np.zeros((40, 32, 32, 3), np.uint8),
        traversals=walks, traversed=(5, 4, 3, 2, 1, 0), rates=(6, 5, 4, 3, 2, 1), steps=tuple(range(-4, 5)),
    )  # fmt: skip
    names = [path.name for path in save_figures(snapshot, tmp_path)]
    assert names[0] == "reconstructions_epoch_0012.png"
    assert grid(walks).shape == (6 * 36, 9 * 36, 3)
    assert pytest.approx(255) == grid(walks)[0].mean()
