"""How many examples hypothesis tries: the same ones in every run, so that no run fails by chance.

DERM_ML_FUZZ=20 python -m pytest tests/data -m '' -k 'damaged or table or tree'   # twenty times as many, others
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("DERM_ML_FUZZ", "0"))


def tried(examples: int) -> settings:
    """So many examples, drawn from the test's name; by DERM_ML_FUZZ so many times as many, drawn at random."""
    return settings(
        max_examples=examples * max(1, TIMES),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
