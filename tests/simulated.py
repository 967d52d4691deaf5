"""Comparisons drawn from known truths: arms of given skill and gap, for tests of the verdict and the report."""

import numpy as np

from derm_ml.results import ArmRun, Comparison, Place, SplitFacts

IDENTICAL = Place("identical", "frozen", 1.0)
TUNED = Place("tuned", "frozen", 1.0)


def probabilities(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def simulate(
    arms, splits=3, seeds=2, images=300, places=(IDENTICAL,), classes=("a", "b", "c"), seed=0, shuffled=False,
    test_skill=None, shared_groups=False,
):  # fmt: skip
    """arms: name -> (skill, gap). Half of an image's noise is the image's own, so that arms are alike on it.

    test_skill: another skill on test images (a leak). shuffled: labels that have nothing to do with the images.
    """
    rng = np.random.default_rng(seed)
    facts, runs = [], []
    for split in range(splits):
        labels = {part: rng.integers(0, len(classes), images) for part in ("val", "test")}
        own = {part: rng.normal(size=(images, len(classes))) for part in labels}
        groups = {part: np.array([f"{part}{split}-{i // 2}" for i in range(images)]) for part in labels}
        train_groups = groups["test"][:4] if shared_groups else np.array([f"train{split}-{i}" for i in range(images)])
        facts.append(
            SplitFacts(
                seed=split,
                identity=f"{split}" * 64,
                counts={"train": 4 * images, "val": images, "test": images},
                train_groups=np.unique(train_groups),
                val_labels=labels["val"],
                val_groups=groups["val"],
                test_labels=labels["test"],
                test_groups=groups["test"],
                test_ids=np.array([f"image{i}" for i in range(images)]),
                encoder="models:/derm-encoder/1",
            )  # fmt: skip
        )
        for place in places:
            for arm, (skill, gap) in arms.items():
                for each in range(seeds):
                    predicted = {}
                    for part in labels:
                        strength = test_skill if part == "test" and test_skill else skill
                        logits = own[part] + rng.normal(size=own[part].shape)
                        truth = rng.permutation(labels[part]) if shuffled else labels[part]
                        predicted[part] = probabilities(logits + strength * np.eye(len(classes))[truth])
                    runs.append(_run(arm, split, each, place, predicted, labels, gap, rng))
    return Comparison(
        data="somewhere", kind="folders", fingerprint="f" * 64, backbone="b", image_size=64, features="stages",
        epochs=3, gap_margin=0.05, classes=classes, splits=tuple(facts), runs=tuple(runs), seconds=60.0,
    )  # fmt: skip


def _run(arm, split, seed, place, predicted, labels, gap, rng):
    val = -np.log(predicted["val"][np.arange(len(labels["val"])), labels["val"]]).mean()
    rise = np.array([0.1, 0.6, 1.0]) * (gap + rng.normal(0, 0.004))
    losses = np.array([1.1, 1.0, 1.0]) * val
    accuracy = np.array([0.5, 0.6, 0.7])
    history = {"val/loss": losses, "train/loss": losses - rise, "gap/loss": rise}
    history |= {"train/accuracy": accuracy + 0.1, "val/accuracy": accuracy, "gap/accuracy": np.full(3, 0.1)}
    history |= {"train/auroc": np.full(3, 0.95), "val/auroc": np.full(3, 0.8), "val/ece": np.full(3, 0.05)}
    return ArmRun(
        arm=arm, split=split, seed=seed, place=place, lr=1e-3, weight_decay=0.01, history=history,
        val_probabilities=predicted["val"], test_probabilities=predicted["test"], feed=f"{split}/{seed}/{place.text}",
        origin=f"{arm}'s", seconds=1.0,
    )  # fmt: skip
