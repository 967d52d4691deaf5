"""The fixtures of conftest_service and conftest_docker, which tests also import by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest_docker import images, service, stack  # noqa: F401
from conftest_service import admin, native  # noqa: F401
