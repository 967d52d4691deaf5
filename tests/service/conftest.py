"""The fixtures of conftest_service, which tests also import by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest_service import admin, native  # noqa: F401
