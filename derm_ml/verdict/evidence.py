"""From a comparison to the evidence for a promotion: the vae arm against the champion, on validation images."""

from __future__ import annotations

from dataclasses import replace

from derm_ml.promotion import Difference, Evidence
from derm_ml.results import Comparison
from derm_ml.verdict.measures import AUROC, ECE, GAP, Measures, on


def evidence_of(comparison: Comparison, run_id: str) -> Evidence | None:
    """On the comparison's first split, where the champion was run beside the vae arm; None where it was not."""
    champions = [run for run in comparison.runs if run.arm == "champion"]
    if not champions:
        return None
    place, split = champions[0].place, comparison.splits[0]
    runs = tuple(run for run in comparison.runs if run.split == split.seed)
    measures = Measures(replace(comparison, splits=(split,), runs=runs))
    found = {}
    for measure in (on(AUROC, "val"), GAP, on(ECE, "val")):
        estimate = measures.estimate(measure, "vae", place, minus="champion")
        found[measure.name] = Difference(estimate.mean, *estimate.interval())
    return Evidence(
        challenger=split.encoder,
        champion=comparison.champion,
        fingerprint=comparison.fingerprint,
        split_id=split.identity,
        protocol=place.protocol,
        mode=place.mode,
        features=comparison.readout,
        seeds=sum(run.split == split.seed for run in champions),
        auroc=found[AUROC.name],
        gap=found[GAP.name],
        ece=found[ECE.name],
        run_id=run_id,
    )
