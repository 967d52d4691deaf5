"""What a VAE's rate is made of, how well its latents can be read, how good its samples are: figures for a table."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from derm_ml.data.clinical import clinical_factors
from derm_ml.disentanglement import LEAST, associations, dci
from derm_ml.models.backbones import build_encoder
from derm_ml.models.heads import FeatureExtractor
from derm_ml.models.pretrained import LITE0, load_imagenet
from derm_ml.models.vae import ConvVae, Posterior, gaussian_kl
from derm_ml.objectives.elbo import active_units
from derm_ml.objectives.total_correlation import rate_parts
from derm_ml.pipelines.setup import Setting, features_only, place
from derm_ml.progress import progress
from derm_ml.seeding import numpy_generator, torch_generator
from derm_ml.training.evaluation import gather

VALIDATION = 2000  # images at most, drawn once
CHUNK = 256  # images at a time


class VaeScores:
    """Measures VAEs of one split on the same validation images; test images are not read."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rows = some(setting.dataset.rows("val"), VALIDATION)

    def of(self, vae: ConvVae, *, decodes: bool) -> dict[str, float]:
        """Names are those of the tables.

        Args:
            decodes: its decoder was trained; else the rate, which nobody paid for, and the samples are left out.

        Returns:
            active: latents whose mean varies. rate and its three parts (nats, `rate_parts`).
            DCI disentanglement, completeness, informativeness: of the clinical factors that are numbers (Eastwood and
                Williams, as `derm_ml.disentanglement.dci`), one image a lesion, where all of them are known; two of
                them at least, since every latent is of one factor where there is only one (age, without masks).
                These and the next are left out where no latent is active: there is no code to read.
            strongest FACTOR: the largest |Spearman's rho| or eta squared of any latent with it; the largest of many is
                too large by chance.
            sample distance: `kernel_distance` of as many samples from the prior as there are images to them.
        """
        vae = place(vae, self.setting.device).eval()  # type: ignore[assignment]
        posterior = encode_rows(vae, self.setting, self.rows, "validation")
        found = {"active": float(active_units(posterior.mean))}
        if decodes:
            found["rate"] = float(gaussian_kl(posterior).sum(dim=1).mean())
            parts = rate_parts(posterior, torch_generator(0, "rate parts"))._asdict()
            found |= {name.replace("_", " "): value for name, value in parts.items()}
        if found["active"]:
            found |= self._read(posterior.mean.numpy())
        if decodes and len(self.rows) > 1:
            found["sample distance"] = kernel_distance(self._real, self._features(self._samples(vae)))
        return found

    def _read(self, means: np.ndarray) -> dict[str, float]:
        alone, factors = self._clinical
        means = means[alone]
        numbers = factors.select_dtypes("number")
        numbers = numbers.loc[:, numbers.nunique() > 1]
        known = numbers.notna().all(axis=1).to_numpy()
        found: dict[str, float] = {}
        if numbers.shape[1] > 1 and known.sum() >= LEAST:
            scores = dci(means[known], numbers[known].to_numpy(float))._asdict()
            found |= {f"DCI {name}": value for name, value in scores.items()}
        table = associations(means, factors)
        largest = table["effect"].abs().groupby(table["factor"], sort=False).max()
        return found | {f"strongest {name}": float(value) for name, value in largest.items()}

    @cached_property
    def _clinical(self) -> tuple[np.ndarray, pd.DataFrame]:
        """Which of the rows are the first of their lesion, and what is known of those."""
        alone = np.flatnonzero(~pd.Series(self.setting.dataset.groups(self.rows)).duplicated().to_numpy())
        return alone, clinical_factors(self.setting.dataset, self.rows[alone])

    @cached_property
    def _judge(self) -> FeatureExtractor:
        encoder = build_encoder(LITE0, self.setting.dataset.images.shape[1], 0)
        load_imagenet(encoder, "auto")
        return place(FeatureExtractor(encoder, "last"), self.setting.device)  # type: ignore[return-value]

    @cached_property
    def _real(self) -> np.ndarray:
        return self._features(self.setting.batches(self.rows))

    def _features(self, batches: object) -> np.ndarray:
        with features_only(self._judge.encoder):
            return gather(self._judge, batches, self.setting.precision).cpu().numpy()  # type: ignore[arg-type]

    @torch.no_grad()
    def _samples(self, vae: ConvVae) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """As many decoded means of draws from the prior as there are images."""
        generator = torch_generator(0, "samples")
        made = []
        for rows in torch.arange(len(self.rows)).chunk(math.ceil(len(self.rows) / CHUNK)):
            z = torch.randn(len(rows), vae.latent_dim, generator=generator).to(self.setting.device)
            with self.setting.precision.context():
                made.append((vae.decode(z).float().clamp(0, 1), rows))
        return made


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x.y / d + 1)^3: the kernel inception distance.

    Binkowski et al., Demystifying MMD GANs, arXiv 1801.01401, equation 4 and section 4, with this project's ImageNet
    network in place of Inception, so that values compare with each other only. Zero in expectation for draws from one
    distribution; it can be below.

    Args:
        first, second: [n, d] and [m, d].
    """
    from sklearn.metrics.pairwise import polynomial_kernel

    def within(x: np.ndarray) -> float:
        kernel = polynomial_kernel(x, degree=3, coef0=1)
        return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))

    a, b = first.astype(np.float64), second.astype(np.float64)
    return within(a) + within(b) - 2 * float(polynomial_kernel(a, b, degree=3, coef0=1).mean())


@torch.no_grad()
def encode_rows(vae: ConvVae, setting: Setting, rows: np.ndarray, name: str) -> Posterior:
    """The posteriors of rows, in their order, on the CPU in float32."""
    parts = []
    with progress(f"Latents, {name}", len(rows)) as bar:
        for images, chosen in setting.batches(rows):
            with setting.precision.context():
                parts.append(vae.encode(images))
            bar.advance(len(chosen))
    return Posterior(*(torch.cat([part.float().cpu() for part in each]) for each in zip(*parts, strict=True)))


def some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, drawn once, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(numpy_generator(0, "latents").choice(rows, most, replace=False))
