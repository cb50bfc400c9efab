"""What an event causes outside its aggregate: commands for the other, offers, notices, replies."""

import msgspec

from dispatch.contract.records.delivery_commands import DeliveryCommand
from dispatch.contract.records.driver_commands import DriverCommand
from dispatch.contract.records.offers import Offer
from dispatch.contract.records.system import Notice, Reply


class ReplyTo(msgspec.Struct, frozen=True):
    """A reply and the slot of the gateway that waits for it."""

    slot: int
    reply: Reply


Effect = DeliveryCommand | DriverCommand | Offer | Notice | ReplyTo
