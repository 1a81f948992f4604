"""What a person who runs this can mend: errors whose message is all they need."""


class OperatorError(Exception):
    """Something to mend outside the code; the message says what, and how.

    The command line prints the message alone. Anything else that is raised is a bug,
    and keeps its traceback.
    """
