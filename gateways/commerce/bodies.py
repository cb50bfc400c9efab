"""Bodies of the doors to rules and prices, validated."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gateways.models import Body, Identifier, Lat, Lng, Vehicle

Why = Annotated[str, Field(min_length=1, max_length=500, description="Why; kept in the history.")]
Note = Annotated[str, Field(min_length=1, max_length=200)]
Document = Annotated[
    dict[str, Any], Field(description="A policy: chapters of fields; what it leaves out has its default.")
]
Changes = Annotated[
    dict[str, Any], Field(description="Only what shall be otherwise (RFC 7396); null brings a default back.")
]
Currency = Annotated[str, Field(pattern=r"^([A-Z]{3})?$", description="Empty: the policy's.")]
Percent = Annotated[int, Field(ge=0, le=100)]


class PolicyBody(Body):
    """A whole policy, to be put in force."""

    document: Document
    reason: Why


class PolicyChangesBody(Body):
    """A part of the policy, to be put in force."""

    changes: Changes
    reason: Why


class PolicyCheckBody(Body):
    """What would be put in force: a document or changes."""

    document: Document | None = None
    changes: Changes | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.document is None) == (self.changes is None):
            raise ValueError("either document or changes is wanted")
        return self


class FlagBody(Body):
    """A flag's setting; what is left out stays as it is."""

    enabled: bool | None = None
    rollout_percent: Percent | None = None
    zones: Annotated[list[Identifier], Field(max_length=1000, description="Empty: everywhere.")] | None = None
    reason: Why

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.enabled is None and self.rollout_percent is None and self.zones is None:
            raise ValueError("enabled, rollout_percent or zones is wanted")
        return self


class RequestDriversBody(Body):
    """What available drivers near a zone are told."""

    note: Note


class IncentiveBody(Body):
    """A bonus for each delivery picked up in a zone, for so many hours."""

    incentive_id: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_.:@|-]*$")] = ""
    zone: Identifier
    bonus_minor: Annotated[int, Field(ge=1, le=1_000_000)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    starts_at: datetime | None = None
    hours: Annotated[float, Field(gt=0, le=744, allow_inf_nan=False)] = 1.0
    reason: Note


class PlaceBody(Body):
    """Somewhere."""

    lat: Lat
    lng: Lng


class NeedsBody(Body):
    """What the driver must bring."""

    vehicle: Vehicle = "any"


class ServiceabilityBody(Body):
    """A delivery that somebody thinks of ordering."""

    pickup: PlaceBody
    dropoff: PlaceBody
    requirements: NeedsBody = NeedsBody()
    prep_s: Annotated[int, Field(ge=0, le=172_800)] = 300
    store: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_.:@|-]{0,128}$", description="The seller's id; its history counts.")
    ] = ""


class QuoteBody(ServiceabilityBody):
    """A delivery whose price is asked for."""

    currency: Currency = ""


class OfferBody(Body):
    """Search and offer now; to the driver named, if one is: operations only, with a note."""

    driver_id: Identifier | None = None
    note: Annotated[str, Field(max_length=1000)] = ""


Kind = Literal["none", "photo", "signature", "pin"]
