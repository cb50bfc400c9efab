"""Moments in words are those of the standard library."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatch.contract.instants import iso
from gateways.tracking import words

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(-62_135_596_800_000, 253_402_300_799_999)
"""From the year 1 to the year 9999."""


@given(MOMENTS)
def test_a_moment_is_told_as_the_standard_library_does(at_ms: int) -> None:
    moment = EPOCH + timedelta(milliseconds=at_ms)
    told = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert iso(at_ms) == words.iso(at_ms) == told


@given(MOMENTS, st.integers(0, 999))
def test_of_a_row_s_moment_what_is_less_than_a_millisecond_is_left_out(at_ms: int, more_us: int) -> None:
    assert words.iso(EPOCH + timedelta(milliseconds=at_ms, microseconds=more_us)) == iso(at_ms)
