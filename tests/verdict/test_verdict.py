"""Better, worse or not shown: on comparisons whose truth is known."""

import re
from dataclasses import replace

import numpy as np
import pytest
from simulated import IDENTICAL, TUNED, simulate

from derm_ml.verdict.answer import answer
from derm_ml.verdict.audits import audit, void
from derm_ml.verdict.calls import calls, read_gap
from derm_ml.verdict.measures import ACCURACY, AUROC, ECE, ECE_COOLED, GAP, LOSS, Measures

GOOD, BAD = (2.5, 0.3), (0.8, 0.02)


def words(comparison, arm="vae"):
    return {call.measure.name: call.word for call in calls(Measures(comparison), arm, "imagenet", IDENTICAL)}


@pytest.mark.parametrize("splits", [1, 5])
def test_a_better_and_a_worse_arm_are_called_so(splits):
    worse = words(simulate({"vae": BAD, "imagenet": GOOD}, splits=splits))
    here = " here" if splits == 1 else ""
    assert {worse[name] for name in ("macro AUROC", "log-loss", "accuracy", "balanced accuracy")} == {"worse" + here}
    better = words(simulate({"vae": GOOD, "imagenet": BAD}, splits=splits))
    assert better["macro AUROC"] == better["log-loss"] == "better" + here


def test_the_gap_is_called_by_its_own_sign():
    assert words(simulate({"vae": BAD, "imagenet": GOOD}, splits=5))["gap (loss)"] == "better"
    assert words(simulate({"vae": GOOD, "imagenet": BAD}, splits=5))["gap (loss)"] == "worse"


def test_with_one_split_a_gap_has_the_validation_images_uncertainty():
    found = calls(
        Measures(simulate({"vae": (1.5, 0.1), "imagenet": (1.5, 0.12)}, splits=1)), "vae", "imagenet", IDENTICAL
    )
    gap = next(call for call in found if call.measure is GAP)
    assert gap.difference.error > 0.01  # the seeds' spread alone would be 0.003
    assert gap.word == "not shown"


def test_an_arm_against_its_like_is_seldom_called_different():
    """A/A: whole verdicts of arms of one skill; the rate over the six measures together (benchmarks measure it)."""
    called = 0
    for seed in range(60):
        found = words(simulate({"vae": (1.5, 0.1), "imagenet": (1.5, 0.1)}, seed=seed, images=120, splits=3, seeds=1))
        called += any(word != "not shown" for word in found.values())
    assert called <= 8  # of 60; at a true rate of 5 % more than 8 happens once in 250


@pytest.mark.parametrize("splits", [1, 3])
def test_shuffled_labels_are_recognised(splits):
    measures = Measures(simulate({"vae": BAD, "imagenet": GOOD, "pixels": BAD}, splits=splits, shuffled=True))
    found = answer(measures)
    assert any("labels may be shuffled" in line for line in found.warnings)
    assert {call.word for call in found.calls["vae"]} == {"not shown"}
    assert found.lines[0].startswith("Neither is shown")


def test_a_memorising_arm_is_recognised():
    measures = Measures(simulate({"vae": (0.0, 2.0), "imagenet": GOOD, "pixels": BAD}))
    found = answer(measures)
    assert any("vae" in line and "MEMORISES" in line for line in found.warnings)
    assert found.lines[0].startswith("No, ImageNet transfer is better")


def test_a_group_in_two_splits_voids_everything():
    found = answer(Measures(simulate({"vae": BAD, "imagenet": GOOD}, shared_groups=True)))
    assert any("LEAK" in line for line in found.warnings)
    assert {call.word for call in found.calls["vae"]} == {"not shown"}


def test_a_leak_that_groups_do_not_show_is_suspected():
    """Copies of training images among the test images under other names: the test is far easier than validation."""
    found = answer(Measures(simulate({"vae": BAD, "imagenet": (1.5, 0.3)}, test_skill=4.0)))
    assert any("LEAK SUSPECTED" in line for line in found.warnings)
    by_name = {call.measure.name: call.word for call in found.calls["vae"]}
    assert by_name["macro AUROC"] == "not shown"
    assert by_name["gap (loss)"] == "better"  # measured on validation images, which the leak left alone


def test_a_test_set_too_small_is_no_evidence():
    tiny = simulate({"vae": BAD, "imagenet": (4.0, 0.3)}, images=24, splits=1)
    audits = audit(Measures(tiny), IDENTICAL)
    assert "too few for an interval" in " ".join(each.sentence for each in audits if not each.holds)
    assert {"macro AUROC", "gap (loss)"} <= void(audits)
    assert {call.word for call in answer(Measures(tiny)).calls["vae"]} == {"not shown"}


def test_one_value_gives_no_call():
    one = simulate({"vae": BAD, "imagenet": GOOD}, splits=1, seeds=1, images=40)
    gap = next(call for call in calls(Measures(one), "vae", "imagenet", IDENTICAL) if call.measure is GAP)
    assert gap.difference.freedom == np.inf  # images alone
    assert np.isnan(gap.g)


def test_the_gap_is_read_with_its_epochs_and_its_margin():
    measures = Measures(simulate({"vae": (1.5, 0.01), "imagenet": (1.5, 0.2)}, splits=5))
    vae, imagenet = (read_gap(measures, arm, IDENTICAL) for arm in ("vae", "imagenet"))
    assert (vae.near_zero, vae.opens) == (True, 0)
    assert (imagenet.near_zero, imagenet.opens) == (False, 2)
    assert imagenet.least_loss in (2, 3)


def test_the_answer_says_what_tuning_leaves_of_the_gap():
    def gap_of(place):
        return {"vae": (1.5, 0.02), "imagenet": (1.5, 0.4 if place is IDENTICAL else 0.02)}

    both = [simulate(gap_of(place), places=(place,), splits=4) for place in (IDENTICAL, TUNED)]
    merged = both[0].__class__(**{**both[0].__dict__, "runs": both[0].runs + both[1].runs})
    line = answer(Measures(merged)).lines[1]
    assert line.startswith("Yes, the VAE overfits less")
    assert "under tuned, it is not shown" in line


@pytest.mark.parametrize(("vae", "imagenet"), [(GOOD, BAD), (BAD, GOOD), (GOOD, GOOD)])
def test_an_encoder_of_another_method_is_not_called_the_vae(vae, imagenet):
    comparison = simulate({"vae": vae, "imagenet": imagenet, "pixels": BAD}, splits=4)
    found = answer(Measures(replace(comparison, vae_method="VAE + InfoNCE", vae_recipe="composed")))
    assert all("VAE + InfoNCE" in line for line in found.lines)
    assert not re.search("VAE(?! \\+ InfoNCE)", " ".join(found.lines))


@pytest.mark.parametrize(
    ("identical", "tuned", "said"),
    [(0.4, 0.4, "it remains"), (0.4, 0.0, "it is not shown"), (0.0, 0.4, "a smaller one is shown")]
    + [(0.0, 0.0, "none is shown either"), (0.4, -0.4, "it turns round")],
)
def test_what_becomes_of_a_gap_under_the_other_protocol(identical, tuned, said):
    places = ((IDENTICAL, identical), (TUNED, tuned))
    both = [
        simulate({"vae": (1.5, 0.02), "imagenet": (1.5, 0.02 + gap)}, places=(place,), splits=4)
        for place, gap in places
    ]
    merged = replace(both[0], runs=both[0].runs + both[1].runs)
    assert f"under tuned, {said}:" in answer(Measures(merged)).lines[1]


def test_one_split_speaks_of_itself_only():
    found = answer(Measures(simulate({"vae": BAD, "imagenet": GOOD, "pixels": BAD}, splits=1)))
    assert found.lines[0].startswith("On this split, with this encoder, ImageNet transfer is better")
    assert found.lines[1].startswith("On this split, with this encoder, the VAE overfits less")
    assert any("splits=3 or more" in line for line in found.not_shown)


def test_what_is_not_shown_names_the_detectable_difference():
    line = answer(Measures(simulate({"vae": (1.5, 0.1), "imagenet": (1.5, 0.1)}, seed=3))).lines[0]
    assert re.search(r"a difference of 0\.\d+ would have been found with 80 % power", line)


@pytest.mark.parametrize(("trained", "untrained", "said"), [
    (GOOD, BAD, "Pretraining adds to its own network untrained: 0."),
    (BAD, GOOD, "Pretraining takes from its own network untrained: -0."),
    (GOOD, GOOD, "Pretraining is not shown to add to its own network untrained"),
])  # fmt: skip
def test_what_pretraining_adds_to_its_own_network_is_said(trained, untrained, said):
    arms = {"vae": trained, "imagenet": GOOD, "random": untrained, "pixels": BAD}
    measures = Measures(simulate(arms, splits=5))
    line = answer(measures).lines[2]
    assert said in line
    assert f"{measures.estimate(GAP, 'random', IDENTICAL).mean:.3f} without any pretraining" in line
    del arms["random"]
    assert "untrained" not in answer(Measures(simulate(arms, splits=5))).lines[2]


def test_on_one_split_pretraining_adds_here():
    arms = {"vae": GOOD, "imagenet": GOOD, "random": BAD, "pixels": BAD}
    assert "adds to its own network untrained here: " in answer(Measures(simulate(arms, splits=1))).lines[2]


def test_too_few_test_images_cannot_tell_memorising():
    few = simulate({"vae": (0.0, 2.0), "imagenet": GOOD, "pixels": BAD}, images=24, splits=1)
    assert not any("MEMORISES" in line for line in answer(Measures(few)).warnings)


def test_missing_arms_are_no_answer():
    assert "not answered" in answer(Measures(simulate({"vae": BAD}))).lines[0]
    assert "without the pixels floor" in answer(Measures(simulate({"vae": BAD, "imagenet": GOOD}))).lines[2]


def test_temperature_mends_overconfidence():
    comparison = simulate({"vae": (1.5, 0.1), "imagenet": (1.5, 0.1)}, splits=2, images=600)
    hot = [
        run.__class__(**{**run.__dict__, **{f"{part}_probabilities": _sharpened(getattr(run, f"{part}_probabilities"))
                                            for part in ("val", "test")}})
        for run in comparison.runs
    ]  # fmt: skip
    measures = Measures(comparison.__class__(**{**comparison.__dict__, "runs": tuple(hot)}))
    assert measures.temperature(hot[0]) > 2
    assert measures.estimate(ECE_COOLED, "vae", IDENTICAL).mean < 0.6 * measures.estimate(ECE, "vae", IDENTICAL).mean


def _sharpened(p):
    return p**4 / (p**4).sum(axis=1, keepdims=True)


def test_estimates_over_splits_use_each_splits_mean_over_seeds():
    measures = Measures(simulate({"vae": GOOD, "imagenet": BAD}, splits=4, seeds=3))
    values = [
        np.mean([measures.value(run, AUROC) for run in measures.comparison.of("vae", IDENTICAL, split)])
        for split in range(4)
    ]
    found = measures.estimate(AUROC, "vae", IDENTICAL)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.error == pytest.approx(np.sqrt((1 / 4 + 1 / 4) * np.var(values, ddof=1)))
    assert {ACCURACY.higher, LOSS.higher} == {True, False}
