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
