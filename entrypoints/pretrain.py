"""MLproject's entry point `pretrain`: the command line of `derm-ml pretrain`."""

import sys

from derm_ml.cli import main

sys.exit(main(["pretrain", *sys.argv[1:]]))
