"""The CPU time of sixteen heads trained side by side against one at a time, as the protocol `tuned` does; one thread.

python benchmarks/heads_side_by_side.py
"""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from derm_ml.config import HeadConfig
from derm_ml.pipelines.features import HeadTraining, SplitFeatures, side_by_side
from derm_ml.pipelines.protocols import candidates

IMAGES, WIDTH, CLASSES, EPOCHS = 7000, 1792, 7, 3


def main() -> None:
    """Pairs in turn, each pair's ratio."""
    torch.set_num_threads(1)
    noise = torch.Generator().manual_seed(0)
    features = torch.randn(IMAGES, WIDTH, generator=noise)
    labels = torch.randint(0, CLASSES, (IMAGES,), generator=noise).numpy()
    train = SplitFeatures(features, labels, torch.arange(IMAGES))
    config = HeadConfig(epochs=EPOCHS)
    recipes = candidates(config)
    for _ in range(3):
        began = time.process_time()
        for recipe in recipes:
            own = replace(config, lr=recipe.lr, weight_decay=recipe.weight_decay)
            training = HeadTraining(train, train, tuple("abcdefg"), own, 0)
            for _ in range(EPOCHS):
                training.step()
        alone = time.process_time() - began
        began = time.process_time()
        side_by_side(train, train, CLASSES, config, recipes, 0)
        together = time.process_time() - began
        print(
            f"{len(recipes)} heads: one at a time {alone:.1f} s, side by side {together:.1f} s: {together / alone:.2f}"
        )


if __name__ == "__main__":
    main()
