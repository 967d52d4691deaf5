"""MLproject's entry point `ablate`: the command line of `derm-ml ablate`."""

import sys

from derm_ml.cli import main

sys.exit(main(["ablate", *sys.argv[1:]]))
