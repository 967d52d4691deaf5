"""Estimates, the group bootstrap and decisions: against naive loops, closed forms and simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from derm_ml import metrics
from derm_ml.statistics import weighted
from derm_ml.statistics.bootstrap import group_error
from derm_ml.statistics.decisions import equivalence, hedges_g, holm, p_text
from derm_ml.statistics.estimates import Estimate, over_seeds, over_splits, within_split


def draw(seed, count=120, classes=3, skill=1.5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + skill * np.eye(classes)[labels]
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), labels


PAIRS = [
    (weighted.log_loss, lambda p, y: metrics.sample_losses(p, y).mean()),
    (weighted.accuracy, lambda p, y: (p.argmax(1) == y).mean()),
    (weighted.balanced_accuracy, lambda p, y: metrics.class_means((p.argmax(1) == y).astype(float), y).mean()),
    (weighted.macro_auroc, metrics.macro_auroc),
    (weighted.ece, metrics.ece),
]


def test_resamples_that_tell_nothing_are_left_out_without_a_warning():
    """Of four images one is of the other class: a third of the resamples do not hold it and have no AUROC."""
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2], [0.75, 0.25]])
    assert group_error(weighted.macro_auroc, [p], np.array([0, 0, 0, 1]), np.arange(4)) > 0
    assert np.isnan(weighted.macro_auroc(p, np.array([0, 0, 0, 1]), np.array([[1.0, 1, 1, 0]]))).all()


@pytest.mark.parametrize(("many", "one"), PAIRS, ids=lambda f: getattr(f, "__name__", ""))
def test_weighted_metrics_are_the_metrics_of_repeated_images(many, one):
    p, y = draw(1)
    p = p.round(1) + 0.01  # ties
    p /= p.sum(axis=1, keepdims=True)
    weights = np.random.default_rng(2).integers(0, 4, (5, len(y))).astype(float)
    weights[0] = 1
    found = many(p, y, weights)
    assert found[0] == pytest.approx(one(p, y))
    if many is weighted.ece:  # bins of repeated images fall between copies: equal only where no bin edge cuts one
        return
    for row, value in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(len(y)), row.astype(int))
        assert value == pytest.approx(one(p[rows], y[rows]))


def test_a_class_without_weight_is_left_out():
    p, y = draw(3)
    weights = np.ones((1, len(y)))
    weights[0, y == 2] = 0
    kept = y != 2
    assert weighted.balanced_accuracy(p, y, weights)[0] == pytest.approx(
        np.mean([(p[kept].argmax(1) == y[kept])[y[kept] == k].mean() for k in (0, 1)])
    )
    assert np.isnan(weighted.recall(2)(p, y, weights)[0])


def test_the_bootstrap_of_a_mean_is_its_standard_error_over_groups():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 3)
    correct = np.repeat(rng.uniform(size=200) < 0.7, 3)  # a group is right or wrong as a whole
    p = np.where(correct[:, None], [0.9, 0.1], [0.1, 0.9])
    labels = np.zeros(600, dtype=int)
    error = group_error(weighted.accuracy, [p], labels, groups, draws=2000)
    expected = correct[::3].std() / np.sqrt(200)
    assert error == pytest.approx(expected, rel=0.06)
    # Images taken as independent would be too sure of themselves by sqrt(3).
    alone = group_error(weighted.accuracy, [p], labels, np.arange(600), draws=2000)
    assert alone == pytest.approx(expected / np.sqrt(3), rel=0.06)


def test_a_paired_difference_cancels_what_is_shared():
    p, y = draw(4)
    assert group_error(weighted.macro_auroc, [p], y, np.arange(len(y)), minus=[p]) == 0
    other, _ = draw(5)
    assert group_error(weighted.log_loss, [p], y, np.arange(len(y)), minus=[other]) > 0


def test_the_corrected_t_by_hand():
    values = [0.1, 0.3, 0.2]
    found = over_splits(values, 0.25)
    assert found.error == pytest.approx(np.sqrt((1 / 3 + 0.25) * 0.01))
    half = stats.t.ppf(0.975, 2) * found.error
    assert found.interval() == pytest.approx((0.2 - half, 0.2 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(0.2 / found.error, 2))
    # without the correction it is the ordinary one-sample t
    assert over_splits(values, 0).p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert over_seeds(values).interval() == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval())


def test_the_corrected_t_is_right_where_splits_are_alike():
    """Values of splits with correlation n_test / (n_train + n_test): the ordinary t is wrong too often, this is not."""
    rng = np.random.default_rng(0)
    share, splits, many = 0.2, 5, 4000
    common = rng.normal(size=(many, 1)) * np.sqrt(share)
    values = common + rng.normal(size=(many, splits)) * np.sqrt(1 - share)
    corrected = np.mean([over_splits(row, share / (1 - share)).p < 0.05 for row in values])
    plain = np.mean([over_splits(row, 0).p < 0.05 for row in values])
    assert abs(corrected - 0.05) < 0.012
    assert plain > 0.1


def test_one_split_adds_seeds_and_sampling():
    found = within_split([0.1, 0.2, 0.3], 0.05)
    seeds = 0.1 / np.sqrt(3)
    assert found.error == pytest.approx(np.hypot(0.05, seeds))
    assert found.freedom == pytest.approx(found.error**4 / (seeds**4 / 2))
    assert within_split([0.1], 0.05) == Estimate(0.1, 0.05, np.inf)
    assert np.isnan(over_seeds([0.1]).low)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_against_a_naive_loop(values):
    order = sorted(range(len(values)), key=lambda i: values[i])
    naive, running = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(values) - rank) * values[index]))
        naive[index] = running
    assert holm(values) == pytest.approx(naive)


def test_holm_leaves_a_missing_p_out():
    assert holm([0.01, float("nan"), 0.04]) == pytest.approx([0.02, float("nan"), 0.04], nan_ok=True)


def test_no_p_is_told_as_zero():
    assert [p_text(p) for p in (1.0, 0.0123, 0.001, 0.00099, 0.0, float("nan"))] == [
        "1.000", "0.012", "0.001", "< 0.001", "< 0.001", "",
    ]  # fmt: skip


@pytest.mark.parametrize(("mean", "error"), list(itertools.product((-0.06, -0.03, 0, 0.02), (0.005, 0.012, 0.03))))
def test_equivalence_is_the_90_percent_interval_within_the_margin(mean, error):
    estimate = Estimate(mean, error, 4)
    low, high = estimate.interval(0.9)
    assert (equivalence(estimate, 0.05) < 0.05) == (low > -0.05 and high < 0.05)


def test_equivalence_against_statsmodels():
    from statsmodels.stats.weightstats import ttost_paired

    rng = np.random.default_rng(0)
    values = rng.normal(0.01, 0.05, 12)
    reference = ttost_paired(values, np.zeros(12), -0.05, 0.05)[0]
    assert equivalence(over_seeds(values), 0.05) == pytest.approx(reference)


def test_hedges_g():
    values = np.array([0.1, 0.2, 0.3, 0.2])
    assert hedges_g(values) == pytest.approx(values.mean() / values.std(ddof=1) * (1 - 3 / 11))
    assert np.isnan(hedges_g([0.1, 0.2]))


def test_what_would_have_been_found_is_called_by_holm_whatever_the_other_measures_do():
    from derm_ml.verdict.calls import detectable

    estimate = over_splits([0.01, 0.03, 0.02], 0.2)
    found = detectable(estimate, 6)
    assert found > detectable(estimate, 1)
    alone = Estimate(found, estimate.error, estimate.freedom)
    assert holm([alone.p, 1.0, 1.0, 1.0, 1.0, 1.0])[0] < 0.05
