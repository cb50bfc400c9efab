"""What can go wrong in the host, named by what to do about it."""


class HostError(Exception):
    """Root of the tree."""


class BadRecord(HostError):
    """The record cannot be read or handled: dead-letter it and go on. `place` is the field or byte."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


class Aborted(HostError):
    """The transaction cannot commit: abort, seek to the committed offsets, try again."""


class OutcomeUnknown(HostError):
    """The commit was sent and not answered: throw the producer away and restore from the log."""


class Fenced(HostError):
    """Another process took this slot, or the client is beyond repair: exit and let the supervisor decide."""


class Misconfigured(HostError):
    """A setting or topic is not what it must be; the message says the value seen and the value wanted."""
