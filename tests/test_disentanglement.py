"""Scores of disentanglement: known answers, and naive loops written from the papers."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from derm_ml.data.synthetic import lesion_factors
from derm_ml.disentanglement import associations, dci, discretised, mig, mutual_information, of_importances, sap


@pytest.fixture(scope="module")
def factors():
    """The known factors of the synthetic lesions: area, asymmetry, border, colours, texture."""
    drawn = [lesion_factors(lesion, 0)[0] for lesion in range(800)]
    return np.array([[f.area, f.asymmetry, f.border, f.colours, f.texture] for f in drawn])


def standard(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.fixture(scope="module")
def cases(factors):
    rng = np.random.default_rng(0)
    own = standard(factors)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    return {
        "the factors": np.column_stack([own, rng.normal(size=(800, 3))]),
        "rotated": np.column_stack([own @ rotation, rng.normal(size=(800, 3))]),
        "noise": rng.normal(size=(800, 8)),
    }


def test_the_factors_themselves_score_best_and_noise_least(cases, factors):
    found = {name: (mig(z, factors), sap(z, factors), *dci(z, factors)) for name, z in cases.items()}
    for best, middle, least in zip(found["the factors"], found["rotated"], found["noise"], strict=True):
        assert best > middle > least - 1e-9
    assert found["the factors"][0] > 0.8
    assert min(found["the factors"][2:]) > 0.85
    assert max(found["noise"][:2]) < 0.05
    assert found["noise"][4] < 0.1  # informativeness: nothing is told
    assert found["rotated"][4] > 0.6  # all is told still, only mixed


def naive_mutual_information(a, b):
    joint, pa, pb, n = Counter(zip(a, b, strict=True)), Counter(a), Counter(b), len(a)
    return sum(c / n * math.log(c * n / (pa[x] * pb[y])) for (x, y), c in joint.items())


def test_mig_against_a_naive_loop(cases, factors):
    z = cases["rotated"]
    gaps = []
    for j in range(factors.shape[1]):
        v = discretised(factors[:, j]).tolist()
        scores = sorted(naive_mutual_information(discretised(z[:, i]).tolist(), v) for i in range(z.shape[1]))
        entropy = -sum(c / len(v) * math.log(c / len(v)) for c in Counter(v).values())
        gaps.append((scores[-1] - scores[-2]) / entropy)
    assert mig(z, factors) == pytest.approx(sum(gaps) / len(gaps))
    assert mutual_information(z, factors).shape == (8, 5)


def test_sap_of_continuous_factors_against_a_naive_loop(cases, factors):
    z, continuous = cases["rotated"], factors[:, [0, 1, 2, 4]]
    gaps = []
    for factor in continuous.T:
        scores = []
        for latent in z.T:
            slope, intercept = np.polyfit(latent, factor, 1)
            rest = ((factor - slope * latent - intercept) ** 2).sum()
            scores.append(1 - rest / ((factor - factor.mean()) ** 2).sum())
        gaps.append(sorted(scores)[-1] - sorted(scores)[-2])
    assert sap(z, continuous) == pytest.approx(np.mean(gaps))


def test_dcis_entropies_against_a_naive_loop():
    r = np.array([[3.0, 0.0], [0.5, 0.5], [0.0, 0.0], [0.0, 1.0]])
    disentangled = 0.0
    for row in r:
        if row.sum():
            p = row / row.sum()
            disentangled += row.sum() / r.sum() * (1 + sum(x * math.log(x, 2) for x in p if x))
    complete = 0.0
    for column in r.T:
        p = column / column.sum()
        complete += column.sum() / r.sum() * (1 + sum(x * math.log(x, 4) for x in p if x))
    assert of_importances(r) == pytest.approx((disentangled, complete))
    assert of_importances(np.eye(3)) == pytest.approx((1, 1))
    assert of_importances(np.ones((3, 3))) == pytest.approx((0, 0))


def test_associations_find_what_is_there_and_little_else(factors):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(800, 6))
    z[:, 2] = standard(factors)[:, 0] + rng.normal(size=800)
    sex = np.where(z[:, 4] + rng.normal(size=800) > 0, "female", "male").astype(object)
    sex[:50] = ""
    age = pd.Series(rng.integers(20, 80, 800)).where(np.arange(800) % 9 > 0)
    table = associations(z, pd.DataFrame({"area": factors[:, 0], "sex": sex, "age": age, "site": "back"}))
    assert set(table["factor"]) == {"area", "sex", "age"}  # one site tells nothing
    sure = table[table["p_adjusted"] < 0.001]
    assert set(zip(sure["latent"], sure["factor"], strict=True)) == {(2, "area"), (4, "sex")}
    assert table[table["factor"] == "sex"]["images"].unique() == [750]
    row = sure[sure["factor"] == "area"].iloc[0]
    assert (row["kind"], row["effect"] > 0.5) == ("rho", True)
    assert sure[sure["factor"] == "sex"].iloc[0]["kind"] == "eta2"
    assert (sure["low"].dropna() < sure["effect"][sure["low"].notna()]).all()
    assert sure[sure["factor"] == "sex"][["low", "high"]].isna().all().all()


def test_the_interval_of_rho_covers_as_often_as_it_says():
    """Bivariate normals of Pearson's r = 0.6: Spearman's rho is 6 / pi * arcsin(r / 2)."""
    rng, covered = np.random.default_rng(3), 0
    truth = 6 / math.pi * math.asin(0.3)
    for _ in range(300):
        z = rng.normal(size=(80, 1))
        factor = 0.6 * z[:, 0] + 0.8 * rng.normal(size=80)
        row = associations(z, pd.DataFrame({"age": factor})).iloc[0]
        covered += row["low"] < truth < row["high"]
    assert 0.91 < covered / 300 < 0.985


def test_adjusted_p_and_eta_squared_against_naive_loops(factors):
    rng = np.random.default_rng(4)
    z = rng.normal(size=(200, 3)) + 0.2 * standard(factors)[:200, :1]
    site = rng.choice(["back", "face", "arm"], 200).astype(object)
    site[:3] = "rare"  # too few for the chi-squared approximation
    table = associations(z, pd.DataFrame({"area": factors[:200, 0], "site": site}))
    ordered = sorted(table["p"])
    for p, adjusted in zip(table["p"], table["p_adjusted"], strict=True):
        steps = [ordered[i] * len(ordered) / (i + 1) for i in range(ordered.index(p), len(ordered))]
        assert adjusted == pytest.approx(min(1, *steps) if len(steps) > 1 else min(1, steps[0]))
    assert table[table["factor"] == "site"]["images"].unique() == [197]
    kept = site != "rare"
    ranks = pd.Series(z[kept, 0]).rank()
    between = sum(
        (site[kept] == each).sum() * (ranks[site[kept] == each].mean() - ranks.mean()) ** 2 for each in set(site[kept])
    )
    h = 12 / (197 * 198) * between
    row = table[(table["factor"] == "site") & (table["latent"] == 0)].iloc[0]
    assert row["effect"] == pytest.approx(max(0, (h - 2) / (197 - 3)))


def test_a_word_an_image_is_no_factor():
    z = np.random.default_rng(0).normal(size=(60, 2))
    assert associations(z, pd.DataFrame({"site": [str(i) for i in range(60)]})).empty


def test_guessing_the_commonest_value_informs_of_nothing():
    rng = np.random.default_rng(5)
    rare = (rng.uniform(size=(1200, 1)) < 0.12).astype(float)
    assert dci(rng.normal(size=(1200, 4)), rare).informativeness < 0.05
    assert dci(np.column_stack([rare[:, 0], rng.normal(size=(1200, 3))]), rare).informativeness > 0.95


def test_a_latent_that_never_moves_predicts_as_chance_does():
    rng = np.random.default_rng(6)
    latent = rng.normal(size=400)
    factor = (latent > 0).astype(float)[:, None]
    still = sap(np.column_stack([latent, np.zeros(400)]), factor)
    assert still == pytest.approx(sap(np.column_stack([latent, rng.normal(size=400)]), factor), abs=0.06)


def test_what_no_gap_can_be_told_from_is_refused():
    one = np.arange(40.0)[:, None]
    for score in (mig, sap):
        with pytest.raises(ValueError, match="two latents"):
            score(one, one)
        with pytest.raises(ValueError, match="varies"):
            score(np.hstack([one, one]), np.ones((40, 2)))
    with pytest.raises(ValueError, match="20 at least"):
        dci(one[:10], one[:10])


def test_groups_that_are_alike_have_a_p_in_float32_too():
    """Kruskal and Wallis's H of these is -0.0002 in float32, and its p not a number."""
    latents = np.random.default_rng(762).normal(size=(1143, 1)).astype(np.float32)
    table = associations(latents, pd.DataFrame({"sex": ["female"] * 600 + ["male"] * 543}))
    assert table["effect"].tolist() == [0.0]
    assert table["p_adjusted"].tolist() == pytest.approx([1.0], abs=0.02)
