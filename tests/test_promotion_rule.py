"""The rule of promotion."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import IDENTICAL, simulate

from derm_ml.promotion import Difference, Evidence, promotion_rule
from derm_ml.verdict.evidence import evidence_of
from derm_ml.verdict.measures import AUROC, Measures, on


def evidence(auroc, gap=(0.0, -0.1, 0.1), ece=(0.0, -0.01, 0.01), **facts):
    known = {
        "challenger": "models:/derm-encoder/2", "champion": "models:/derm-encoder/1", "fingerprint": "f" * 64,
        "split_id": "s" * 64, "protocol": "identical", "mode": "frozen", "features": "stages", "seeds": 3,
        "run_id": "r",
    }  # fmt: skip
    differences = {"auroc": Difference(*auroc), "gap": Difference(*gap), "ece": Difference(*ece)}
    return Evidence(**{**known, **differences, **facts})


UP, FLAT, DOWN = (0.02, 0.01, 0.03), (0.001, -0.004, 0.006), (-0.02, -0.03, -0.01)
LESS_GAP = (-0.1, -0.15, -0.05)


@pytest.mark.parametrize(
    ("found", "promoted", "why"),
    [
        (evidence(UP), True, "macro AUROC is higher"),
        (evidence(FLAT), False, "neither"),
        (evidence(FLAT, LESS_GAP), True, "smaller at no loss"),
        (evidence((0.0, -0.006, 0.006), LESS_GAP), False, "neither"),
        (evidence(DOWN, LESS_GAP), False, "neither"),
        (evidence(UP, ece=(0.02, 0.01, 0.03)), False, "calibration is worse"),
        (evidence((0.02, float("nan"), float("nan"))), False, "without an interval"),
    ],
)
def test_the_rule(found, promoted, why):
    decision = promotion_rule(found)
    assert decision.promoted is promoted
    assert why in decision.reason
    assert "models:/derm-encoder/1" in decision.reason


bound = st.floats(-0.2, 0.2)


@settings(deadline=None)
@given(bound, bound, bound, st.floats(0, 0.1), st.floats(0, 0.1))
def test_what_is_better_is_never_refused_for_it(auroc, gap, ece, width, more):
    """Raising the AUROC, or lowering the gap or the ECE, never takes a promotion back; below zero there is none."""

    def around(mean):
        return (mean, mean - width, mean + width)

    before = promotion_rule(evidence(around(auroc), around(gap), around(ece)))
    after = promotion_rule(evidence(around(auroc + more), around(gap - more), around(ece - more)))
    assert after.promoted or not before.promoted
    if auroc + width < 0:
        assert not before.promoted or auroc - width > -0.005


def test_evidence_is_of_validation_images_of_the_first_split():
    arms = {"vae": (2.5, 0.1), "champion": (1.0, 0.1), "imagenet": (2.0, 0.1)}
    comparison = simulate(arms, splits=2, seeds=3)
    comparison = comparison.__class__(**{**comparison.__dict__, "champion": "models:/derm-encoder/9"})
    found = evidence_of(comparison, "r")
    assert (found.challenger, found.champion, found.seeds) == ("models:/derm-encoder/1", "models:/derm-encoder/9", 3)
    measures = Measures(comparison)
    first = measures.by_split(on(AUROC, "val"), "vae", IDENTICAL, "champion")[0]
    assert found.auroc.mean == pytest.approx(first.mean())
    assert found.auroc.low > 0
    assert evidence_of(simulate({"vae": (1.0, 0.1)}), "r") is None
