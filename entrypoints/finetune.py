"""MLproject's entry point `finetune`: the command line of `derm-ml finetune`."""

import sys

from derm_ml.cli import main

sys.exit(main(["finetune", *sys.argv[1:]]))
