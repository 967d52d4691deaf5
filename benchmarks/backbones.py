"""Which of timm's families can be pretrained, and take their ImageNet weights, at an image size.

Of every family the smallest network that has ImageNet weights, built at the size, and given a state of the size it was
made for, as a file would. Random numbers stand in for the weights: nothing is fetched.

    python benchmarks/backbones.py [64,224] > docs/tables/timm_backbones.csv
"""

from __future__ import annotations

import csv
import sys
import warnings

import timm
import torch

from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder
from derm_ml.models.pretrained import load_backbone_state, resampled


def smallest(names: list[str]) -> tuple[str, int]:
    """The network of the fewest weights, and how many, in millions."""
    sizes = {}
    for name in names:
        try:
            with torch.device("meta"):
                network = timm.create_model(name)
        except (NotImplementedError, RuntimeError):  # what is computed while it is built: build it for real
            network = timm.create_model(name)
        sizes[name] = sum(parameter.numel() for parameter in network.parameters())
    name = min(sizes, key=lambda each: sizes[each])
    return name, round(sizes[name] / 1e6, 1)


def fits(name: str, size: int) -> str:
    """`yes`, or what stands in the way: the network or the weights."""
    try:
        encoder = build_encoder(name, size, 0)
    except UserError:
        return "network does not take it"
    state = timm.create_model(name).state_dict()
    try:
        load_backbone_state(encoder, resampled(encoder, state), name)
    except UserError:
        return "weights do not fit"
    return "yes"


def main() -> None:
    """A row a family."""
    warnings.filterwarnings("ignore")
    sizes = [int(size) for size in (sys.argv[1] if len(sys.argv) > 1 else "64,224").split(",")]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["family", "networks", "smallest", "million_weights", "made_for", *(f"px_{size}" for size in sizes)])
    for family in timm.list_modules():
        names = sorted({name.split(".")[0] for name in timm.list_models(module=family, pretrained=True)})
        if names:
            name, weights = smallest(names)
            made_for = timm.get_pretrained_cfg(name).input_size[-1]
            table.writerow([family, len(names), name, weights, made_for, *(fits(name, size) for size in sizes)])
            sys.stdout.flush()


if __name__ == "__main__":
    main()
