"""python -m derm_ml."""

import sys

from derm_ml.cli import main

sys.exit(main())
