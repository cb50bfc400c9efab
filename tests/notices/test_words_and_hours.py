"""Texts in every language, quiet hours, counting: without any server."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dispatch.config import Settings
from dispatch.contract import identity
from dispatch.contract.records.shared import UnassignedReason
from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy
from dispatch.log.errors import Misconfigured
from dispatch.notices import quiet, templates
from dispatch.notices.channels import AppriseChannel, NotSent, Outgoing, channels
from dispatch.notices.kinds import CATALOGUE
from dispatch.notices.service import channels_of

BERLIN = ZoneInfo("Europe/Berlin")
POLICY = NoticePolicy(time_zone="Europe/Berlin")
MOMENTS = st.integers(1_700_000_000_000, 1_900_000_000_000)
HOURS = st.integers(0, 23)


def a_notice(audience: Any = "customer", kind: str = "picked_up", **more: Any) -> Notice:
    fields: dict[str, Any] = {
        "notice_id": identity.derived("n"), "audience": audience, "kind": kind, "delivery_id": "d", "at_ms": 0,
        "details": {}, **more,
    }  # fmt: skip
    return Notice(**fields)


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize("language", templates.LANGUAGES)
def test_every_kind_has_a_title_and_a_text_with_fields_that_it_knows(language: str) -> None:
    said = templates.texts(language)
    written = {(audience, kind) for audience, kinds in said.items() if audience != "words" for kind in kinds}
    assert written == set(CATALOGUE)
    for (audience, kind), what in CATALOGUE.items():
        for part in ("title", "text"):
            text = said[audience][kind][part]
            assert text, kind
            assert templates.fields_of(text) <= what.fields, (audience, kind)


@pytest.mark.parametrize("language", templates.LANGUAGES)
def test_languages_name_the_same_fields_and_the_same_reasons(language: str) -> None:
    said, english = templates.texts(language), templates.texts("en")
    for audience, kind in CATALOGUE:
        for part in ("title", "text"):
            here, there = said[audience][kind][part], english[audience][kind][part]
            assert templates.fields_of(here) == templates.fields_of(there), (audience, kind)
    assert set(said["words"]) == set(english["words"])
    assert set(UnassignedReason.__args__) - {"UNKNOWN"} <= set(said["words"])


def test_a_text_says_what_it_is_given_and_nothing_reaches_into_a_field() -> None:
    fields = {"name": "Clara {eta}", "store": "Anker", "eta": "19:40"}
    said = templates.render("es", "customer", "picked_up", fields)
    assert said.text == "Hola Clara {eta}, su pedido de Anker ya está recogido. Llegada hacia las 19:40."
    support = templates.render("hi", "support", "support_ticket", {"why": "all_drivers_busy", "order": "17"})
    assert "सभी ड्राइवर व्यस्त हैं" in support.text
    assert templates.render("en", "operations", "manual_review", {"why": "driver_lost"}).text.count("driver lost") == 1
    for wrong in ("{name.__class__}", "{name[0]}", "{}", "{0}"):
        with pytest.raises(ValueError, match="no plain field"):
            templates.fields_of(wrong)


def test_a_language_without_texts_gives_way_to_the_default() -> None:
    assert [templates.spoken(wanted, "de") for wanted in ("hi", "fr", "")] == ["hi", "de", "de"]


@pytest.mark.parametrize(
    ("moment", "kind", "expected"),
    [
        ("2026-11-21 21:59", "picked_up", ""),
        ("2026-11-21 22:00", "picked_up", "quiet_hours"),
        ("2026-11-22 06:59", "picked_up", "quiet_hours"),
        ("2026-11-22 07:00", "picked_up", ""),
        ("2026-11-22 03:00", "arriving", ""),
        ("2026-11-22 03:00", "failed", ""),
    ],
)
def test_a_customer_is_not_woken_for_what_can_be_left_unsaid(moment: str, kind: str, expected: str) -> None:
    now_ms = at(moment)
    notice = a_notice(kind=kind, at_ms=now_ms)
    planned = quiet.sending(notice, CATALOGUE["customer", kind], POLICY, now_ms, BERLIN)
    assert planned == quiet.Sending(now_ms, expected)


def test_operations_hear_in_the_morning_of_what_was_held() -> None:
    policy = replace(POLICY, operations_quiet_from_h=23, operations_quiet_to_h=6)
    now_ms = at("2026-11-21 23:30")
    held = a_notice("operations", "unassigned", at_ms=now_ms)
    planned = quiet.sending(held, CATALOGUE["operations", "unassigned"], policy, now_ms, BERLIN)
    assert planned == quiet.Sending(at("2026-11-22 06:00"))
    critical = a_notice("operations", "unassigned_critical", at_ms=now_ms)
    urgent = quiet.sending(critical, CATALOGUE["operations", "unassigned_critical"], policy, now_ms, BERLIN)
    assert urgent == quiet.Sending(now_ms)


def test_old_news_is_dropped() -> None:
    stale_ms = CATALOGUE["customer", "arriving"].stale_s * 1000
    notice = a_notice(kind="arriving", at_ms=1_790_000_000_000)
    planned = [
        quiet.sending(notice, CATALOGUE["customer", "arriving"], POLICY, notice.at_ms + later, BERLIN).dropped
        for later in (stale_ms, stale_ms + 1)
    ]
    assert planned == ["", "stale"]


@given(moment=MOMENTS, begin=HOURS, end=HOURS, name=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
def test_quiet_hours_end_within_a_day_when_the_clock_shows_their_end(
    moment: int, begin: int, end: int, name: str
) -> None:
    zone = ZoneInfo(name)
    policy = NoticePolicy(customer_quiet_from_h=begin, customer_quiet_to_h=end)
    until = quiet.quiet_until_ms(policy, "customer", moment, zone)
    hour = datetime.fromtimestamp(moment / 1000, zone).hour
    hours = set() if begin == end else {(begin + step) % 24 for step in range((end - begin) % 24)}
    assert (until is not None) == (hour in hours)
    if until is not None:
        shown = datetime.fromtimestamp(until / 1000, zone)
        assert moment < until <= moment + timedelta(hours=25).total_seconds() * 1000
        assert (shown.hour, shown.minute, shown.second) == (end, 0, 0) or shown.dst() != datetime.fromtimestamp(
            moment / 1000, zone
        ).dst()


@given(attempts=st.integers(1, 100))
def test_pauses_double_up_to_the_most(attempts: int) -> None:
    pauses = [quiet.retry_ms(POLICY, number) for number in (attempts, attempts + 1)]
    assert pauses[0] == min(2_000 * 2 ** (attempts - 1), 300_000)
    assert pauses[0] <= pauses[1] <= 300_000


def test_a_time_zone_nobody_knows_is_utc() -> None:
    assert quiet.zone_of(NoticePolicy(time_zone="Mars/Olympus")) == ZoneInfo("UTC")


def test_the_same_news_is_told_apart_by_what_it_is_about() -> None:
    first = a_notice(kind="driver_assigned", driver_id="ana")
    assert quiet.news(first) == quiet.news(replace(first, notice_id="other", at_ms=5))
    for change in ({"driver_id": "ben"}, {"delivery_id": "e"}, {"level": 2}, {"details": {"zone": "z"}}):
        assert quiet.news(first) != quiet.news(replace(first, **change))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"notify_customer": "carrier-pigeon://roof"}, "BATON_NOTIFY_CUSTOMER, address 1: neither http"),
        ({"notify_driver": "https://ok.example/x json://h/{age}"}, "BATON_NOTIFY_DRIVER, address 2: {age} is unknown"),
        ({"notify_support": "https:///x"}, "BATON_NOTIFY_SUPPORT, address 1: a webhook's address has a host"),
        ({"notify_operations": "json://h/{"}, "BATON_NOTIFY_OPERATIONS, address 1: braces are for placeholders"),
        ({"webhook_secret": "whsec_€"}, "BATON_WEBHOOK_SECRET is not base64"),
        ({"language": "tlh"}, "BATON_LANGUAGE is 'tlh'; there are texts in en, de, es, hi"),
    ],
)
def test_a_setting_that_is_wrong_is_told_without_its_secrets(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(Misconfigured) as told:
        channels_of(Settings(**changes), httpx.Client())
    assert str(told.value).startswith(sentence)
    assert "roof" not in str(told.value)


def test_channels_are_named_without_their_addresses() -> None:
    made = channels("https://hooks.example/secret json://user:password@h/{phone}", "", httpx.Client(), "X")
    assert [(one.name.split(":")[0], one.keyed) for one in made] == [("webhook", True), ("json", False)]
    assert "secret" not in made[0].name + made[1].name


def test_a_service_that_cannot_be_reached_is_asked_again_and_one_without_a_number_is_not_asked() -> None:
    now = round(datetime.now(UTC).timestamp() * 1000)
    notice = Outgoing("n", "customer", "picked_up", "en", "Title", "Text", now, 0, to={"phone": "1", "name": "C"})
    with pytest.raises(NotSent, match="did not take it"):
        AppriseChannel("json://127.0.0.1:1/{phone}").send(notice)
    with pytest.raises(NotSent, match="nobody knows the driver_id"):
        AppriseChannel("json://127.0.0.1:1/{driver_id}").send(notice)
