"""What a VAE's latents hold: on validation images, with neighbours among training images; test images are not read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from derm_ml.data.clinical import clinical_factors
from derm_ml.disentanglement import LEAST, associations, dci, mig, sap
from derm_ml.latent_results import LatentStudy
from derm_ml.models.vae import ConvVae, gaussian_kl
from derm_ml.objectives.elbo import active_units
from derm_ml.objectives.total_correlation import rate_parts
from derm_ml.pipelines.setup import Setting, place
from derm_ml.pipelines.vae_scores import VALIDATION, encode_rows, some
from derm_ml.seeding import torch_generator

TRAINING, MAPPED = 4000, 1000  # images at most, drawn once
QUERIES, NEAREST, STEPS, WALKS = 8, 5, 9, 8
SURE = 0.05  # adjusted p of an association that a traversal is shown for


def study_latents(vae: ConvVae, setting: Setting, max_images: int = VALIDATION) -> LatentStudy:
    """Encode, associate with what is known of the images, walk, map, look for neighbours.

    Args:
        max_images: validation images that are looked at, drawn once.

    Raises:
        ValueError: no training or no validation images.
    """
    dataset = setting.dataset
    vae = place(vae, setting.device).eval()  # type: ignore[assignment]
    rows = {name: some(dataset.rows(name), most) for name, most in (("val", max_images), ("train", TRAINING))}
    if not all(len(each) for each in rows.values()):
        raise ValueError(f"latents are read on validation images beside training images: {dataset.counts}")
    posteriors = {name: encode_rows(vae, setting, chosen, name) for name, chosen in rows.items()}
    q = posteriors["val"]
    means = q.mean.numpy()
    factors = clinical_factors(dataset, rows["val"])
    # photographs of one lesion are no independent rows: with all of them p would be too small
    alone = ~pd.Series(dataset.groups(rows["val"])).duplicated().to_numpy()
    table = associations(means[alone], factors[alone].reset_index(drop=True))
    rates = gaussian_kl(q).mean(dim=0).numpy()
    walked = _worth_walking(table, rates)
    positions, mapped = _map(means)
    named = np.array([*dataset.classes, ""], dtype=object)
    labels = {name: named[dataset.codes(chosen)] for name, chosen in rows.items()}  # -1, unlabelled, is the last
    nearest = _nearest(means, posteriors["train"].mean.numpy())
    shown = _one_a_class(labels["val"])
    share = pd.Series(labels["train"]).value_counts(normalize=True)
    told = labels["val"] != ""  # images without a label agree with nobody
    return LatentStudy(
        images=len(means),
        active=active_units(q.mean),
        rates=rates,
        parts=rate_parts(q, torch_generator(0, "rate parts"))._asdict(),
        associations=table,
        scores=_scores(means, factors) if dataset.kind == "synthetic" else {},
        walked=walked,
        walks=_walk(vae, q.mean[shown[:1]], [latent for _, latent, _, _ in walked], setting),
        steps=tuple(np.linspace(-3, 3, STEPS)),
        positions=positions,
        classes=dataset.classes,
        labels=labels["val"][mapped],
        thumbnails=np.asarray(dataset.images[rows["val"][mapped]]),
        queries=np.asarray(dataset.images[rows["val"][shown]]),
        query_labels=tuple(labels["val"][shown]),
        neighbours=np.stack([np.asarray(dataset.images[rows["train"][each]]) for each in nearest[shown]]),
        neighbour_labels=tuple(tuple(labels["train"][each]) for each in nearest[shown]),
        agreement=float((labels["train"][nearest] == labels["val"][:, None])[told].mean()) if told.any() else np.nan,
        by_chance=float(np.mean([share.get(label, 0.0) for label in labels["val"][told]])) if told.any() else np.nan,
    )


def _scores(means: np.ndarray, factors: pd.DataFrame) -> dict[str, float]:
    """Against the factors that vary; none with one latent, or with fewer images than a score can be read from."""
    values = factors.loc[:, factors.nunique() > 1].to_numpy(float)
    if len(means) < LEAST or means.shape[1] < 2 or not values.size:
        return {}
    found = dci(means, values)
    return {"MIG": mig(means, values), "SAP": sap(means, values), **{f"DCI {k}": v for k, v in found._asdict().items()}}


def _worth_walking(table: pd.DataFrame, rates: np.ndarray) -> tuple[tuple[str, int, str, float], ...]:
    """For each factor the latent it is associated with most (where that is sure); then the latents of highest rate."""
    found: list[tuple[str, int, str, float]] = []
    for factor, part in table[table["p_adjusted"] < SURE].groupby("factor", sort=False):
        best = part.iloc[int(part["effect"].abs().argmax())]
        found.append((str(factor), int(best["latent"]), str(best["kind"]), float(best["effect"])))
    found.sort(key=lambda each: -abs(each[3]))
    for latent in np.argsort(-rates, kind="stable"):
        if len(found) >= WALKS:
            break
        if int(latent) not in {each[1] for each in found}:
            found.append(("", int(latent), "rate", float(rates[latent])))
    return tuple(found[:WALKS])


@torch.no_grad()
def _walk(vae: ConvVae, start: torch.Tensor, latents: list[int], setting: Setting) -> np.ndarray:
    walks = []
    for latent in latents:
        z = start.repeat(STEPS, 1).to(setting.device)
        z[:, latent] = torch.linspace(-3, 3, STEPS, device=setting.device)
        decoded = vae.decode(z).float().clamp(0, 1).mul(255).round().byte()
        walks.append(decoded.permute(0, 2, 3, 1).cpu().numpy())
    return np.stack(walks)


def _map(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t-SNE (from the first two principal components, one seed) of at most 1,000 images; and which they are."""
    from sklearn.manifold import TSNE

    chosen = some(np.arange(len(means)), MAPPED)
    if means.shape[1] < 2:
        return np.column_stack([means[chosen, 0], np.zeros(len(chosen))]), chosen
    if len(chosen) < 10 or not np.ptp(means[chosen], axis=0).any():
        return np.zeros((len(chosen), 2)), chosen
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    made = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(means[chosen])
    return np.asarray(made), chosen


def _nearest(queries: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Positions of the five nearest (Euclidean), [q, 5]."""
    from sklearn.neighbors import NearestNeighbors

    return np.asarray(NearestNeighbors(n_neighbors=min(NEAREST, len(among))).fit(among).kneighbors(queries)[1])


def _one_a_class(labels: np.ndarray) -> np.ndarray:
    """Positions of the first image of every class in turn, at most eight."""
    turn = pd.Series(labels).groupby(labels, sort=True).cumcount().to_numpy()
    return np.lexsort((labels.astype(str), turn))[:QUERIES]
