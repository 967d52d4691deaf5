"""What a VAE can do, as images: reconstructions, samples and latent traversals."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from derm_ml.models.vae import ConvVae, gaussian_kl
from derm_ml.pipelines.setup import Setting
from derm_ml.results import VaeSnapshot
from derm_ml.seeding import torch_generator

SHOWN, SAMPLES, TRAVERSED, STEPS = 10, 40, 6, 9


@torch.no_grad()
def take_snapshot(vae: ConvVae, setting: Setting, epoch: int) -> VaeSnapshot:
    """From the first validation images in the order of content, and one fixed draw from the prior."""
    vae.eval()
    rows = setting.dataset.rows("val")[:SHOWN]
    images = next(iter(setting.batches(rows)))[0]
    posterior = vae.encode(images)
    prior = torch.randn(SAMPLES, vae.latent_dim, generator=torch_generator(0, "samples")).to(images)
    rates = gaussian_kl(posterior).mean(dim=0)
    active = rates.argsort(descending=True)[:TRAVERSED].tolist()
    steps = torch.linspace(-3, 3, STEPS, device=images.device)
    base = posterior.mean[:1]
    walks = []
    for latent in active:
        z = base.repeat(STEPS, 1)
        z[:, latent] = steps
        walks.append(_pixels(vae.decode(z)))
    return VaeSnapshot(
        epoch=epoch,
        originals=_pixels(images),
        reconstructions=_pixels(vae.decode(posterior.mean)),
        samples=_pixels(vae.decode(prior)),
        traversals=np.stack(walks),
        traversed=tuple(active),
        rates=tuple(rates[active].tolist()),
        steps=tuple(steps.tolist()),
    )


def _pixels(images: Tensor) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
