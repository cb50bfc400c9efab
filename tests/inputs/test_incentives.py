"""A zone's bonus as a decision sees it: the highest that runs in the order's currency, and never one of another."""

from dispatch.contract import codec
from dispatch.contract.records.system import IncentivePublished
from dispatch.core.pay import incentive_minor
from dispatch.inputs.zones import ZoneBoard

NOW_MS = 1_790_000_000_000


def a_board(*bonuses: tuple[int, str]) -> ZoneBoard:
    board = ZoneBoard()
    for number, (minor, currency) in enumerate(bonuses):
        record = IncentivePublished(
            incentive_id=f"i{number}", zone="north", bonus_minor=minor, currency=currency, starts_at_ms=NOW_MS,
            ends_at_ms=NOW_MS + 1000, at_ms=NOW_MS, actor_id="ops", note="",
        )  # fmt: skip
        board.apply(record.incentive_id.encode(), codec.encode(record))
    return board


def test_the_highest_bonus_in_the_orders_currency_applies() -> None:
    facts = a_board((100, "EUR"), (150, "EUR"), (900, "CHF")).facts("north", NOW_MS, "EUR")
    assert incentive_minor(facts, "EUR") == (150, "")


def test_a_bonus_in_another_currency_does_not_apply_and_the_offer_can_say_so() -> None:
    board = a_board((900, "CHF"))
    assert incentive_minor(board.facts("north", NOW_MS, "EUR"), "EUR") == (
        0, "the zone's incentive is in CHF, the order in EUR",
    )  # fmt: skip
    assert incentive_minor(board.facts("north", NOW_MS + 1000, "EUR"), "EUR") == (0, "")  # it is over
    assert incentive_minor(board.facts("south", NOW_MS, "EUR"), "EUR") == (0, "")
