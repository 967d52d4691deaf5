"""What turns images into features, the one head for every arm, and the classifier of both."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derm_ml.models.backbones import Encoder, FeatureKind
from derm_ml.models.erasure import Erasure
from derm_ml.models.vae import ConvVae


class LinearHead(nn.Module):
    """Features to logits: standardised with the training features' mean and sd, then linear, starting at zero.

    Starting at zero makes the initial head the same for every arm whatever its width, and the first
    prediction uniform (log-loss log k); what a seed then changes is the order of the batches.

    Args:
        width: features a sample.
        classes: logits.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.linear = nn.Linear(width, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def standardise_by(self, features: Float[Tensor, "n d"]) -> None:
        """Take mean and sd from the training features; a feature that never varies is left at zero."""
        self.mean.copy_(features.mean(dim=0))
        spread = features.std(dim=0, correction=0)
        # Divided by sqrt(d) as well: the step on the logits is then the same for any number of features.
        scale = torch.where(spread > 1e-6, 1.0 / spread.clamp_min(1e-6), torch.zeros_like(spread))
        self.scale.copy_(scale / features.shape[1] ** 0.5)

    def standardise(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """What the linear layer takes."""
        return (features - self.mean) * self.scale

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b k"]:
        """Logits."""
        return self.linear(self.standardise(features))  # type: ignore[no-any-return]


class LinearHeads(nn.Module):
    """Several linear layers on the same standardised features, each starting at zero: one product for all of them."""

    def __init__(self, width: int, classes: int, count: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.zeros(classes, width) for _ in range(count))
        self.biases = nn.ParameterList(torch.zeros(classes) for _ in range(count))

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b k heads"]:
        """Every head's logits."""
        logits = nn.functional.linear(features, torch.cat(list(self.weights)), torch.cat(list(self.biases)))
        return logits.reshape(len(features), len(self.biases), -1).transpose(1, 2)


class FeatureExtractor(nn.Module):
    """What is exported: images in [0, 1] to the pooled features of the last or of all stages."""

    def __init__(self, encoder: Encoder, kind: FeatureKind = "stages") -> None:
        super().__init__()
        self.encoder, self.kind = encoder, kind
        self.width = sum(encoder.widths) if kind == "stages" else encoder.widths[-1]

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Pooled features."""
        return self.encoder.features(images, self.kind)


class LatentExtractor(nn.Module):
    """Images in [0, 1] to the mean of a VAE's posterior: as many features as latents."""

    def __init__(self, vae: ConvVae) -> None:
        super().__init__()
        self.encoder, self.posterior, self.width = vae.encoder, vae.posterior, vae.latent_dim

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b z"]:
        """Posterior means."""
        return self.posterior(self.encoder.maps(images)[-1]).mean  # type: ignore[no-any-return]


class ErasedExtractor(nn.Module):
    """Features of another extractor without what an erasure takes out of them."""

    encoder: Encoder
    width: int

    def __init__(self, extractor: Extractor, erasure: Erasure) -> None:
        super().__init__()
        self.extractor, self.erasure = extractor, erasure
        self.encoder, self.width = extractor.encoder, extractor.width

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Features in float32."""
        return self.erasure(self.extractor(images))  # type: ignore[no-any-return]


Extractor = FeatureExtractor | LatentExtractor | ErasedExtractor


class Classifier(nn.Module):
    """An extractor and a head, all weights trained (mode `full`)."""

    def __init__(self, extractor: Extractor, head: LinearHead) -> None:
        super().__init__()
        self.extractor, self.head = extractor, head

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b k"]:
        """Logits of images in [0, 1]."""
        return self.head(self.extractor(images).float())  # type: ignore[no-any-return]
