"""Text ready to paste: a methods paragraph, a LaTeX table, and what of two reporting checklists can be filled in."""

from __future__ import annotations

import pandas as pd

from derm_ml import __version__
from derm_ml.results import Comparison
from derm_ml.verdict.answer import Answer
from derm_ml.verdict.measures import ACCURACY, AUROC, BALANCED, ECE, GAP, LOSS, Measures

ARMS = {
    "vae": "an encoder pretrained from scratch (METHOD) on the training images, without their labels",
    "plain": "a plain variational autoencoder's encoder, pretrained likewise",
    "imagenet": "the same architecture pretrained on ImageNet",
    "random": "the same architecture with random weights",
    "pixels": "mean colours of an 8 x 8 grid",
    "majority": "a constant input",
}


def methods(comparison: Comparison) -> str:
    """A paragraph for a paper's methods section, of what was done and nothing else."""
    first = comparison.splits[0]
    total = sum(first.counts.values())
    splits, seeds = len(comparison.splits), len(comparison.seeds)
    protocols = list(dict.fromkeys(place.protocol for place in comparison.places))
    percents = ", ".join(f"{100 * f:g}" for f in dict.fromkeys(place.fraction for place in comparison.places))
    modes = {place.mode for place in comparison.places}
    arms = "; ".join(f"{arm}, {ARMS[arm]}" for arm in comparison.arms)
    objective = f"; objective: {comparison.vae_objective}" if comparison.vae_objective else ""
    arms = arms.replace("METHOD", comparison.vae_method.replace("VAE", "variational autoencoder") + objective)
    architecture = f"The architecture was {comparison.backbone}."
    if not comparison.one_architecture:
        own = "vae" if "vae" in comparison.arms else "plain"
        imagenet, random = ARMS["imagenet"], ARMS["random"]
        arms = arms.replace(imagenet, imagenet.replace("the same architecture", f"a {comparison.backbone}"))
        arms = arms.replace(random, random.replace("the same architecture", f"the {own} arm's architecture"))
        architecture = f"The {own} arm's architecture was {comparison.vae_backbone}."
    removed = (
        "less what would let a linear classifier tell hair, ink, rulers, vignettes and colour casts drawn on training "
        "images (concept erasure, Belrose et al., 2023), "
    )
    how = {
        "frozen": "features of the frozen encoder "
        f"({'spatial means of every stage' if comparison.features == 'stages' else comparison.features}, "
        f"{removed * (comparison.erase != 'none')}standardised with the training features) "
        "under a linear softmax layer that starts at zero",
        "full": "all weights fine-tuned, with flips, quarter turns and light colour changes",
    }
    identical = (
        "Under the identical protocol every arm was given the same learning rate, weight decay, initial prediction, "
        "batches and augmentation at a seed, which was verified by a digest of what the optimiser was fed."
    )
    tuned = (
        "Under the tuned protocol learning rate and weight decay were chosen for each arm out of the same sixteen "
        "candidates by validation log-loss."
    )
    interval = (
        "Intervals are corrected resampled t intervals over splits (Nadeau and Bengio, 2003)"
        if splits > 1
        else "Intervals combine a bootstrap over groups of test images with the spread over seeds"
    )
    apart = "; " if any("," in name for name in comparison.classes) else ", "
    classes = apart.join(" ".join(name.split()) for name in comparison.classes)
    shares = ", ".join(f"{first.counts[name]:,} {word}" for name, word in WORDS)
    sentences = [
        f"We used {total:,} images of {len(comparison.classes)} classes ({classes}) at "
        f"{comparison.image_size} x {comparison.image_size} pixels, split by group (patient or lesion, joined by "
        f"near-identical images) and stratified by class into {shares} images"
        + (f" (first split), {splits} times with different seeds." if splits > 1 else "."),
        f"We compared {len(comparison.arms)} arms: {arms}. {architecture}",
        f"Classifiers were {' and '.join(how[mode] for mode in how if mode in modes)}, trained for "
        f"{comparison.epochs} epochs by AdamW with a cosine schedule, with {seeds} seed{'s' * (seeds > 1)} for "
        f"every arm and split, on {percents} % of the labelled training groups (nested).",
        identical if "identical" in protocols else "",
        tuned if "tuned" in protocols else "",
        "The overfitting gap is the validation minus the training log-loss after the last epoch, both "
        "in evaluation mode without augmentation. Test images chose nothing and were scored when all was trained.",
        f"{interval}; differences are paired at the split and the seed; p values are corrected by Holm's method "
        "over six measures (gap, log-loss, accuracy, balanced accuracy, macro AUROC, expected calibration error, "
        "15 equal-mass bins). A gap counts as near zero when two one-sided tests at 5 % place it within "
        f"{comparison.gap_margin:g} nats. Computed with derm_ml {__version__}.",
    ]
    return " ".join(filter(None, sentences))


WORDS = (("train", "training"), ("val", "validation"), ("test", "test"))


def latex_table(measures: Measures) -> str:
    """A booktabs table of every arm's measures with intervals, at the first place."""
    shown = (AUROC, ACCURACY, BALANCED, LOSS, ECE, GAP)
    place = measures.comparison.places[0]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{l" + "c" * len(shown) + "}",
        r"\toprule",
        " & ".join(["Arm", *(_escape(measure.name) for measure in shown)]) + r" \\",
        r"\midrule",
    ]
    for arm in measures.comparison.arms:
        cells = [measures.text(measure, arm, place).replace("-", "$-$") for measure in shown]
        lines.append(" & ".join([_escape(arm), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escape(text: str) -> str:
    spelt = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    spelt |= {each: "\\" + each for each in "&%$#_{}"}
    return "".join(spelt.get(each, each) for each in " ".join(text.split()))


def checklist(comparison: Comparison, answer: Answer) -> pd.DataFrame:
    """Items of two reporting checklists that this program can fill in; the rest is the authors' to say.

    TRIPOD+AI: Collins et al., BMJ 2024;385:e078378. CLAIM: Mongan et al., Radiology: AI 2020;2:e200029.
    """
    first = comparison.splits[0]
    counts = ", ".join(f"{first.counts[name]:,} {word}" for name, word in WORDS)
    failed = "; ".join(answer.warnings) or "every check held"
    seeds = ", ".join(map(str, comparison.seeds))
    rows = [
        ("5a", "7", "data source", f"{comparison.data} ({comparison.kind}), SHA-256 {comparison.fingerprint[:16]}"),
        (
            "7",
            "9",
            "preparation",
            f"shorter side resized to {comparison.image_size} px, centre crop; checked and decoded by rule, refused "
            "images are listed in the run's data/report.json",
        ),
        (
            "10",
            "19",
            "sample size",
            f"{counts} images (first split); beside every difference stands what 80 % power would have found",
        ),
        (
            "12a",
            "20, 21",
            "partitions",
            f"{len(comparison.splits)} split(s) by group, stratified by class; no group is in two partitions",
        ),
        ("12c", "22, 24, 25", "model, initial weights, training", methods(comparison)),
        (
            "12c",
            "26",
            "choice of the model",
            "the last epoch; under tuned by validation log-loss; with encoder=auto the registered encoder with the "
            "best probe on validation images; never by test images",
        ),
        ("12e", "28, 29", "measures, uncertainty", "six measures, 95 % intervals, Holm, equivalence: see Definitions"),
        (
            "13",
            "",
            "class imbalance",
            f"no reweighting; balanced measures (over {comparison.averaged_over}) and recall by class are reported",
        ),
        ("15", "", "output", "class probabilities (softmax); the largest is the prediction"),
        ("18f", "23", "software", f"derm_ml {__version__}; every package in the run's environment.txt"),
        ("21", "33", "numbers analysed", f"{len(comparison.runs)} runs, each in runs.csv"),
        ("23a", "35, 36", "performance", " ".join(answer.lines)),
        ("", "30", "robustness", f"seeds {seeds}; warnings: {failed}"),
        ("", "31", "explainability", "latent traversals and associations where the vae arm has its VAE"),
        ("", "32", "external data", comparison.external.location if comparison.external else "none"),
        ("", "37", "failure analysis", "confusion, recall by class, selective prediction; predictions.csv.gz"),
        ("26", "38", "limitations", " ".join(answer.not_shown)),
    ]
    return pd.DataFrame(rows, columns=["TRIPOD+AI", "CLAIM", "subject", "what can be said"])
