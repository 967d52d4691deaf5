"""Images/s of VAE pretraining, ours end to end from JPEG files against pythae's trainer on tensors in memory.

    pip install -e '.[bench]'
    python benchmarks/pretrain_throughput.py [DIR] [--images 1024] [--epochs 8] [--pairs 3]

Both train the same modules (tf_efficientnet_lite0, 64 px, 128 latents, batch 64) on the CPU. Ours starts with an empty
cache: building the model, finding, hashing, checking, decoding and splitting the files is in its time, and so are
augmentation, AdamW and the clipping of gradients. pythae's data is in memory and its model is built before its clock
starts, which holds its training epochs alone, with its default Adam. Its own loop stays as it is, memory layout
included. Not the same: the losses (ours has a learned deviation) and the soft bound on our log-variance; both cost
little. The two run in turn, the first of a pair changing; the ratio is of each pair.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

BATCH, SIZE, LATENT = 64, 64, 128


def write_lesions(folder: Path, count: int) -> None:
    """Synthetic lesions as JPEG files, a folder a class."""
    from PIL import Image

    from derm_ml.data.synthetic import SyntheticSpec, draw, lesion_factors

    for lesion, view in SyntheticSpec(n=count).views():
        target = folder / lesion_factors(lesion, 0)[1] / f"{lesion}_{view}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(lesion, view, 160, 0)).save(target, quality=90)


def ours(data: Path, epochs: int) -> float:
    """Images/s from files to `epochs` epochs of training."""
    from derm_ml.config import PretrainConfig
    from derm_ml.data.dataset import prepare
    from derm_ml.pipelines.images import training_images
    from derm_ml.pipelines.pretrain import build, training_batches
    from derm_ml.pipelines.setup import Setting
    from derm_ml.tracking.base import NullTracker
    from derm_ml.training.trainer import Precision

    plain = {
        "invariance": "none",
        "crop": 1.0,
        "artefacts": 0.0,
        "augment": 1.0,
        "decoder_width": 1.0,
        "backbone": "tf_efficientnet_lite0",
    }
    config = PretrainConfig(
        data=str(data), image_size=SIZE, batch_size=BATCH, latent_dim=LATENT, epochs=epochs, **plain
    )
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DERM_ML_CACHE"] = cache
        began = time.perf_counter()
        dataset = prepare(config.data, SIZE, 0)
        device = torch.device("cpu")
        setting = Setting(dataset, device, Precision(device))
        chosen = training_images(config, setting, NullTracker())
        count = len(chosen.rows)
        _, trainer = build(config, setting, count)
        for epoch in range(epochs):
            trainer.train_epoch(training_batches(config, setting, chosen, epoch))
        return count * epochs / (time.perf_counter() - began)


def theirs(images: torch.Tensor, epochs: int) -> float:
    """Images/s of pythae's training steps."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    from derm_ml.models.backbones import build_encoder
    from derm_ml.models.vae import ConvVae

    vae = ConvVae(build_encoder("tf_efficientnet_lite0", SIZE, 0), LATENT)

    class TheirEncoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.encoder, self.posterior = vae.encoder, vae.posterior

        def forward(self, x: torch.Tensor) -> ModelOutput:
            mean, log_variance = self.posterior(self.encoder.maps(x)[-1])
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class TheirDecoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.decoder = vae.decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.decoder(z))

    model = VAE(VAEConfig(input_dim=(3, SIZE, SIZE), latent_dim=LATENT), TheirEncoder(), TheirDecoder())
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=1e-4, no_cuda=True
        )
        trainer = BaseTrainer(model, BaseDataset(images, torch.zeros(len(images))), training_config=settings)
        trainer.prepare_training()
        began = time.perf_counter()
        for epoch in range(1, epochs + 1):
            trainer.train_step(epoch)
        return len(images) * epochs / (time.perf_counter() - began)


def main() -> None:
    """Print both rates and their ratio, pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="JPEG files in a layout derm_ml knows (default: drawn)")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        data = arguments.data or Path(folder)
        if arguments.data is None:
            write_lesions(data, arguments.images)
        os.environ["DERM_ML_CACHE"] = cache
        from derm_ml.data.dataset import prepare

        dataset = prepare(str(data), SIZE, 0)
        pixels = torch.from_numpy(dataset.images[dataset.rows("train")]).permute(0, 3, 1, 2).contiguous().float() / 255
        ratios = []
        for pair in range(arguments.pairs):
            if pair % 2:
                peer = theirs(pixels, arguments.epochs)
                mine = ours(data, arguments.epochs)
            else:
                mine = ours(data, arguments.epochs)
                peer = theirs(pixels, arguments.epochs)
            ratios.append(mine / peer)
            print(f"pair {pair + 1}: derm_ml {mine:.0f} images/s, pythae {peer:.0f} images/s, ratio {ratios[-1]:.2f}")
        print(f"median ratio {median(ratios):.2f} ({len(pixels):,} training images, {arguments.epochs} epochs)")


if __name__ == "__main__":
    main()
