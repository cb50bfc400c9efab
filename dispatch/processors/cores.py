"""The two cores, with what the host's adapter must know of their types."""

from typing import get_args

from dispatch.contract import topics
from dispatch.contract.records import delivery_commands, driver_commands
from dispatch.core import delivery, driver
from dispatch.inputs.prices import OrderPrices
from dispatch.inputs.rules import Rules
from dispatch.inputs.zones import ZoneBoard
from dispatch.processors.aggregate import Core, CoreAggregate

DELIVERY: Core[delivery.Delivery] = Core(
    kind="delivery",
    state_type=delivery.Delivery,
    command_types=get_args(delivery_commands.DeliveryCommand),
    never_repeated=(
        delivery_commands.ReservationGranted,
        delivery_commands.ReservationDenied,
        delivery_commands.DriverUnavailable,
        delivery_commands.DriverBack,
        delivery_commands.DeliveryTimerDue,
    ),
    timer_due=delivery_commands.DeliveryTimerDue,
    initial=delivery.initial,
    needs=delivery.needs,
    decide=delivery.decide,
    evolve=delivery.evolve,
    react=delivery.react,
    deadlines=delivery.deadlines,
    version=delivery.version,
    status=delivery.status,
)
DRIVER: Core[driver.Driver] = Core(
    kind="driver",
    state_type=driver.Driver,
    command_types=get_args(driver_commands.DriverCommand),
    never_repeated=(
        driver_commands.ReserveDriver,
        driver_commands.ConfirmReservation,
        driver_commands.ReleaseReservation,
        driver_commands.DriverTimerDue,
    ),
    timer_due=driver_commands.DriverTimerDue,
    initial=driver.initial,
    needs=driver.needs,
    decide=driver.decide,
    evolve=driver.evolve,
    react=driver.react,
    deadlines=driver.deadlines,
    version=driver.version,
    status=driver.status,
)


def aggregates(
    rules: Rules, namespace: str, zones: ZoneBoard | None = None, prices: OrderPrices | None = None
) -> tuple[CoreAggregate[delivery.Delivery], CoreAggregate[driver.Driver]]:
    """The delivery and the driver, ready for the host."""
    return (
        CoreAggregate(DELIVERY, (topics.DELIVERY_COMMANDS, topics.DELIVERY_STATE), rules, namespace, zones, prices),
        CoreAggregate(DRIVER, (topics.DRIVER_COMMANDS, topics.DRIVER_STATE), rules, namespace, zones, prices),
    )
