import re
import shlex

import pytest

from derm_ml.cli.arguments import parse
from derm_ml.errors import UserError, give, printable


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("two\nlines\x85of\u2028text", "two lines of text"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("H\udce9l\u00e8ne \u9ed1\u8272\u7d20\u7624", "H\\xe9l\u00e8ne \u9ed1\u8272\u7d20\u7624"),
        ("\ud800\u202e", "\\ud800\\u202e"),
    ],
)
def test_a_message_is_one_line_that_any_terminal_can_show(message, shown):
    assert str(UserError(message)) == shown
    assert printable(shown) == shown
    shown.encode()


def test_a_hint_can_be_typed_on_both_command_lines():
    told = give("label=Clinical Diagnosis", "group=none")
    assert told == (
        "--label 'Clinical Diagnosis' or --group none (mlflow run: -P label='Clinical Diagnosis' or -P group=none)"
    )
    ours, _, theirs = told.removesuffix(")").partition(" (mlflow run: ")
    read = parse(["data", "check", "DIR", *(word for part in ours.split(" or ") for word in shlex.split(part))])
    assert (read.label, read.group) == ("Clinical Diagnosis", "none")
    assert [shlex.split(part) for part in theirs.split(" or ")] == [
        ["-P", "label=Clinical Diagnosis"],
        ["-P", "group=none"],
    ]
    assert re.fullmatch(r"--external-classes FILE .*-P external_classes=FILE\)", give("external_classes=FILE"))
