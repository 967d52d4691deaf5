import pytest

from derm_ml.errors import UserError, printable


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
