"""The moments at which a driver must hear from their timer."""

from dispatch.core.driver.states import Driver, rests
from dispatch.core.facts import Deadline


def deadlines(state: Driver) -> tuple[Deadline, ...]:
    """All open deadlines, absolute. A driver whose shift ended is not missed, nor one who counts as offline anyway."""
    due: list[Deadline] = []
    if state.plain and rests(state):
        return ()
    if state.duty == "break":
        due.append(Deadline("break_end", state.break_until_ms))
        if state.notice_at_ms:
            due.append(Deadline("break_notice", state.notice_at_ms))
    if state.known and not state.offline and state.duty != "ended":
        due.append(Deadline("offline_check", state.offline_at_ms))
    return tuple(due)
