"""A plan written to a file, as a configuration."""

import pytest
from ablations import SMALL

from derm_ml.config import AblateConfig


@pytest.fixture
def plan(tmp_path):
    def write(text):
        path = tmp_path / "plan.toml"
        path.write_text(text)
        return AblateConfig(**SMALL, plan=str(path))

    return write
