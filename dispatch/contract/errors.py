"""What can be wrong with a record, one tree."""


class ContractError(ValueError):
    """Bytes or values that the contract does not allow. `place` is the field or byte where it went wrong."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{reason} (at {place})" if place else reason)
        self.reason = reason
        self.place = place


class UnknownSchema(ContractError):
    """The wire format names a schema id that the registry does not hold."""


class Undecodable(ContractError):
    """The bytes are not a record of the schema that they name."""


class OutOfLimits(ContractError):
    """A value lies outside what the schema allows."""
