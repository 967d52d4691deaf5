"""How the shipped network was trained still fits how it is used."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from derm_ml.data.duplicates import view as used
from derm_ml.data.duplicates.network import PLACES, UNIT, CopyNetwork

TOOL = Path(__file__).parents[3] / "tools" / "copy_network"


@pytest.fixture
def tool(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOL))
    import train

    return train


def test_what_is_trained_is_what_runs_once_folded(tool, tmp_path):
    photographs = torch.from_numpy(np.stack([tool.picture(number) for number in range(8)]))
    hair = torch.zeros((1, used.SIDE, used.SIDE), dtype=torch.uint8)
    network = tool.train(photographs, hair, steps=2, batch=6, rate=1e-3, seed=0)
    tool.save_file(network.folded(), tmp_path / "network.safetensors")
    seen = tool.view(photographs, hair, torch.Generator().manual_seed(0), True).copies
    copies = torch.where(seen[:, 1] > 0, (seen[:, 0] * used.LEVELS).round(), used.OUTSIDE).to(torch.int8)
    inside = (copies != used.OUTSIDE).float()
    with torch.no_grad():
        whole, places, covered = network(torch.stack([copies / used.LEVELS * inside, inside], dim=1))
    found, found_places = CopyNetwork(tmp_path / "network.safetensors").describe(copies.numpy())
    assert np.allclose(found, whole.numpy(), atol=0.01)  # half precision
    kept = (places * covered[:, None] * UNIT).transpose(1, 2).numpy()
    assert kept.shape == (8, PLACES**2, found_places.shape[2])
    assert np.allclose(found_places, kept, atol=4)


def test_training_flattens_as_the_check_does(tool):
    grey = tool.picture(3)[:96, :96].astype(np.float32)
    inside = np.ones_like(grey)
    inside[:, 70:] = 0
    import views

    expected = used.flattened(grey, inside, 9.0)
    found = views.flattened(torch.from_numpy(grey)[None, None], torch.from_numpy(inside)[None, None])[0, 0].numpy()
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


def test_the_place_of_each_pixel_is_known(tool):
    flat = torch.zeros((4, 144, 192), dtype=torch.uint8)
    hair = torch.zeros((1, used.SIDE, used.SIDE), dtype=torch.uint8)
    seen = tool.view(flat, hair, torch.Generator().manual_seed(1), False)
    step = seen.x[:, :, 1:] - seen.x[:, :, :-1]
    assert torch.allclose(step, (seen.pixel * 8)[:, None, None].expand_as(step), atol=1e-3)
