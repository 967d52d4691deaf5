"""The one exception whose message is meant for the person at the keyboard."""


class UserError(ValueError):
    """Something the user can put right: one line that says what, where, why and what to do.

    The command line prints it without a traceback and ends with exit code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NoEncoder(UserError):
    """No encoder is registered for the data and split in question."""
