"""What can go wrong with the local machine: always one sentence for the person who started it."""


class StartFailed(Exception):
    """Something did not come up; the message says what, why, and the way out."""
