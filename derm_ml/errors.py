"""The one exception whose message is meant for the person at the keyboard, and text that any terminal can show."""

import shlex


def printable(text: str) -> str:
    """The text for any terminal, CSV and JSON: control characters, and bytes of a name that are no UTF-8, escaped."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    byte = ord(char) - 0xDC00  # the surrogate that stands for a byte, PEP 383
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(char)[1:-1]


def one_line(message: str) -> str:
    """The message on one line of printable text: names in files may hold any character."""
    return printable(" ".join(message.split()))


def give(*settings: str) -> str:
    """How to give any of these `name=value`, in the words of both command lines, for the shell."""
    pairs = [
        (name.replace("_", "-"), name, shlex.quote(value)) for name, _, value in (s.partition("=") for s in settings)
    ]
    ours = " or ".join(f"--{dashed} {value}" for dashed, _, value in pairs)
    return f"{ours} (mlflow run: {' or '.join(f'-P {name}={value}' for _, name, value in pairs)})"


class UserError(ValueError):
    """Something the user can put right: one line that says what, where, why and what to do.

    The command line prints it without a traceback and ends with exit code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class NoEncoder(UserError):
    """No encoder is registered for the data and split in question."""
