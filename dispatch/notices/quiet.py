"""When a notice is sent: quiet hours, and how many a recipient gets. Pure: moments come as UTC milliseconds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy
from dispatch.log import logs
from dispatch.notices.kinds import Kind

logger = logs.get("dispatch.notices.quiet")


@dataclass(frozen=True, slots=True)
class Sending:
    """When it is due (UTC ms); why it is not sent at all, if it is not."""

    due_at_ms: int
    dropped: str = ""


def zone_of(policy: NoticePolicy) -> ZoneInfo:
    """The policy's time zone; UTC, once said in the log, for a name that this machine does not know."""
    return _zone(policy.time_zone)


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        logger.error("time_zone_unknown", name=name)
        return ZoneInfo("UTC")


def quiet_hours(policy: NoticePolicy, audience: str) -> tuple[int, int]:
    """From and to, hours of the day."""
    match audience:
        case "customer":
            return policy.customer_quiet_from_h, policy.customer_quiet_to_h
        case "driver":
            return policy.driver_quiet_from_h, policy.driver_quiet_to_h
    return policy.operations_quiet_from_h, policy.operations_quiet_to_h


def most(policy: NoticePolicy, audience: str) -> int:
    """Notices to one recipient within `counted_s`."""
    return {"customer": policy.customer_most, "driver": policy.driver_most}.get(audience, policy.operations_most)


def quiet_until_ms(policy: NoticePolicy, audience: str, now_ms: int, zone: ZoneInfo) -> int | None:
    """The end of the quiet hours that `now_ms` lies in; None outside them. Days may have 23 or 25 hours."""
    begin_h, end_h = quiet_hours(policy, audience)
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    if not (begin_h <= local.hour < end_h if begin_h < end_h else local.hour >= begin_h or local.hour < end_h):
        return None
    if begin_h == end_h:
        return None
    day = local.date() if local.hour < end_h else local.date() + timedelta(days=1)
    end = datetime(day.year, day.month, day.day, end_h, tzinfo=zone).astimezone(UTC)
    return round(end.timestamp() * 1000)


def sending(notice: Notice, kind: Kind, policy: NoticePolicy, now_ms: int, zone: ZoneInfo) -> Sending:
    """When this notice is due, as far as the clock alone says."""
    if now_ms > notice.at_ms + kind.stale_s * 1000:
        return Sending(now_ms, "stale")
    until_ms = quiet_until_ms(policy, notice.audience, now_ms, zone)
    if until_ms is None or kind.quiet == "send":
        return Sending(now_ms)
    return Sending(until_ms) if kind.quiet == "hold" else Sending(now_ms, "quiet_hours")


def recipient(notice: Notice) -> str:
    """Whom it is for, without personal data: a customer is known by the delivery."""
    match notice.audience:
        case "customer":
            return f"customer {notice.delivery_id}"
        case "driver":
            return f"driver {notice.driver_id}"
    return str(notice.audience)


def news(notice: Notice) -> str:
    """What it says: two notices with the same news tell the same."""
    parts = (notice.kind, notice.delivery_id, notice.driver_id, str(notice.level), notice.details.get("zone", ""),
             notice.details.get("delivery_eta_ms", ""))  # fmt: skip
    return " ".join(parts)


def retry_ms(policy: NoticePolicy, attempts: int) -> int:
    """The pause after so many failures: doubling, up to the most."""
    return round(min(policy.send_retry_first_s * 2.0 ** min(attempts - 1, 30), policy.send_retry_max_s) * 1000)
