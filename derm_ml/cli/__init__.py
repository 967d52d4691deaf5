"""The command line: arguments from the configurations, commands, errors and exit codes."""

from derm_ml.cli.main import main

__all__ = ["main"]
