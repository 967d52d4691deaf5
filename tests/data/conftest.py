"""The makers of odd files and of miniature collections serve the tests of several folders."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("decoding", "collections")]
