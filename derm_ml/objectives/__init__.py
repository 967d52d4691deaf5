"""What is minimised. A part of it that is chosen by name is a file of that name, in the folder of its kind."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(kind: str, name: str) -> Any:
    """What the file NAME.py among the `kind` (regularisers, likelihoods, invariances) defines under its own name."""
    return getattr(import_module(f"{__name__}.{kind}.{name}"), name)
