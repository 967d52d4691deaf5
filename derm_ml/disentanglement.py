"""How far latents are the factors that images were made from: MIG, SAP, DCI; and single associations [1-3].

[1] Chen et al., Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942, equation 6 (MIG).
[2] Kumar et al., Variational Inference of Disentangled Latent Concepts, arXiv 1711.00848, section 4 (SAP).
[3] Eastwood and Williams, Quantitative Evaluation of Disentangled Representations, ICLR 2018 (DCI).

Latents are [n, z], factors [n, f] without missing values; a factor of few values is discrete. Scores are in [0, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

BINS = 20  # of a latent or a continuous factor, equal widths, for mutual information
FEW = 10  # a factor with at most so many values is discrete
LEAST = 20  # known rows below which a factor is not looked at
PART = 5  # rows below which a word (a site, say) is too rare for Kruskal and Wallis's chi-squared approximation


def discretised(values: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bin numbers of equal width, [n] int64; values that are few keep one bin each."""
    distinct = np.unique(values)
    if len(distinct) <= FEW:
        return np.asarray(np.searchsorted(distinct, values))
    edges = np.linspace(values.min(), values.max(), bins + 1)[1:-1]
    return np.asarray(np.digitize(values, edges))


def mutual_information(latents: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Between every latent and every factor, both in bins, in nats: [z, f]."""
    from sklearn.metrics import mutual_info_score

    binned = [discretised(column) for column in factors.T]
    return np.array([[mutual_info_score(discretised(z), each) for each in binned] for z in latents.T])


def mig(latents: np.ndarray, factors: np.ndarray) -> float:
    """Mutual information gap [1]: of each factor's two most informative latents, over its entropy; the mean.

    Raises:
        ValueError: fewer than two latents, or no factor that varies.
    """
    _checked(latents, factors)
    information = np.sort(mutual_information(latents, factors), axis=0)
    gaps = []
    for column, ranked in zip(factors.T, information.T, strict=True):
        share = np.bincount(discretised(column)) / len(column)
        entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
        if entropy > 0:
            gaps.append((ranked[-1] - ranked[-2]) / entropy)
    return float(np.mean(gaps))


def sap(latents: np.ndarray, factors: np.ndarray) -> float:
    """Separated attribute predictability [2]: of each factor, the gap between the two latents that predict it best.

    A continuous factor's prediction from one latent is scored by the squared correlation (R2 of the regression), a
    discrete one's by the balanced accuracy of a linear support vector machine on the same rows (the paper: a linear
    classifier). A latent that never moves predicts as chance does. Factors with one value are left out.

    Raises:
        ValueError: fewer than two latents, or no factor that varies.
    """
    factors = factors[:, _checked(latents, factors)]
    return float(np.mean([_sap_gap(latents, column) for column in factors.T]))


def _checked(latents: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Which factors vary, bool [f]."""
    varies = np.ptp(factors, axis=0) > 0
    if latents.shape[1] < 2 or not varies.any():
        raise ValueError(f"a gap needs two latents and a factor that varies: {latents.shape[1]}, {varies.sum()}")
    return np.asarray(varies)


def _sap_gap(latents: np.ndarray, factor: np.ndarray) -> float:
    scores = sorted(_predictability(z, factor) for z in latents.T)
    return scores[-1] - scores[-2]


def _predictability(latent: np.ndarray, factor: np.ndarray) -> float:
    values, still = len(np.unique(factor)), np.ptp(latent) == 0
    if still:
        return 0.0 if values > FEW else 1 / values
    if values > FEW:
        return float(np.corrcoef(latent, factor)[0, 1] ** 2)
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
    scaled = ((latent - latent.mean()) / latent.std())[:, None]
    classes = discretised(factor)
    return float(balanced_accuracy_score(classes, model.fit(scaled, classes).predict(scaled)))


class Dci(NamedTuple):
    """Disentanglement (a latent is of one factor), completeness (a factor is in one latent), informativeness."""

    disentanglement: float
    completeness: float
    informativeness: float  # how well the held-out rows are predicted, mean over factors


def dci(latents: np.ndarray, factors: np.ndarray, seed: int = 0) -> Dci:
    """From the importances of random forests that predict each factor from all latents [3].

    The forests are trained on the first three quarters of the rows; informativeness is measured on the rest, 0 for
    what knows no latent and 1 for what is always right: R2, or the accuracy beyond that of always naming the commonest
    value, over what that leaves (of a factor that one lesion in eight has, guessing is right seven times in eight).

    Raises:
        ValueError: fewer than 20 rows.
    """
    if len(latents) < LEAST:
        raise ValueError(f"{len(latents)} rows are too few to train and test on: {LEAST} at least")
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    cut = len(latents) * 3 // 4
    importances, scores = [], []
    for column in factors.T:
        discrete = len(np.unique(column)) <= FEW
        kind = RandomForestClassifier if discrete else RandomForestRegressor
        model = kind(n_estimators=50, min_samples_leaf=5, random_state=seed)
        target = discretised(column) if discrete else column
        model.fit(latents[:cut], target[:cut])
        importances.append(model.feature_importances_)
        score = model.score(latents[cut:], target[cut:])
        if discrete:
            guess = float(np.mean(target[cut:] == np.bincount(target[:cut]).argmax()))
            score = (score - guess) / (1 - guess) if guess < 1 else 0.0
        scores.append(max(0.0, score))
    return Dci(*of_importances(np.array(importances).T), float(np.mean(scores)))


def of_importances(importances: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix [z, f]: one minus normalised entropies [3, section 2].

    Latents are weighted by their share of all importance.
    """
    total = importances.sum()
    if total <= 0:
        return 0.0, 0.0
    rows, columns = importances.sum(axis=1), importances.sum(axis=0)
    of_latents = np.array([_purity(row) for row in importances])
    of_factors = np.array([_purity(column) for column in importances.T])
    return float((of_latents * rows / total).sum()), float((of_factors * columns / total).sum())


def _purity(weights: np.ndarray) -> float:
    """One minus the entropy of the weights to the base of their number; 0 where they are all zero."""
    if weights.sum() <= 0 or len(weights) < 2:
        return 0.0
    share = weights / weights.sum()
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    return float(1 - entropy / np.log(len(weights)))


def associations(latents: np.ndarray, factors: pd.DataFrame) -> pd.DataFrame:
    """Every latent with every clinical factor, Benjamini and Hochberg's adjusted p over all pairs.

    Numbers: Spearman's rho, in [-1, 1], with a 95 % interval (Bonett and Wright, Psychometrika 65 (2000): Fisher's z
    with the variance (1 + rho^2 / 2) / (n - 3)). Words (sex, site): eta squared of the ranks, from Kruskal and Wallis's
    H, in [0, 1] (Tomczak and Tomczak, 2014), without an interval. A row counts for a factor where it is known, a word
    where five rows have it; a factor with fewer than 20 such rows, or one value, is left out. Rows must be independent:
    hand in one image a lesion.

    Returns:
        latent, factor, kind (rho, eta2), effect, low, high, p, images (that counted), p_adjusted.
    """
    from scipy import stats

    latents = latents.astype(np.float64)  # in float32 Kruskal and Wallis's H may fall below zero, which has no p
    rows = []
    for name, column in factors.items():
        known = column.notna().to_numpy() & (column != "").to_numpy()
        numeric = pd.api.types.is_numeric_dtype(column)
        if not numeric:
            known &= (column.groupby(column).transform("size") >= PART).to_numpy()
        values = column[known]
        if known.sum() < LEAST or values.nunique() < 2:
            continue
        for latent in range(latents.shape[1]):
            z = latents[known, latent]
            if np.ptp(z) == 0:
                continue
            if numeric:
                found = stats.spearmanr(z, values.to_numpy(float))
                kind, effect, p = "rho", float(found.statistic), float(found.pvalue)
                low, high = _interval(effect, len(z))
            else:
                parts = [z[(values == each).to_numpy()] for each in values.unique()]
                h = stats.kruskal(*parts).statistic
                p = stats.chi2.sf(max(0.0, h), len(parts) - 1)
                kind, effect = "eta2", max(0.0, float((h - len(parts) + 1) / (len(z) - len(parts))))
                low = high = float("nan")
            rows.append((latent, name, kind, effect, low, high, float(p), len(z)))
    table = pd.DataFrame(rows, columns=["latent", "factor", "kind", "effect", "low", "high", "p", "images"])
    table["p_adjusted"] = stats.false_discovery_control(table["p"]) if len(table) else []
    return table


def _interval(rho: float, count: int) -> tuple[float, float]:
    """95 % of Spearman's rho: see `associations`."""
    centre = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
    width = 1.959964 * np.sqrt((1 + rho**2 / 2) / (count - 3))
    return float(np.tanh(centre - width)), float(np.tanh(centre + width))
