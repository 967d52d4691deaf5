"""MLproject's entry point `compare`: the command line of `derm-ml compare`."""

import sys

from derm_ml.cli import main

sys.exit(main(["compare", *sys.argv[1:]]))
