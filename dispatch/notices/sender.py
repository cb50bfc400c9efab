"""Sends what is due: claims, puts into words, hands to the channel, reports. Several at a time, one a recipient."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy
from dispatch.inputs.rules import Rules
from dispatch.log import logs
from dispatch.metrics.notices import SENT
from dispatch.notices import ledger, quiet, templates
from dispatch.notices.channels import Channel, MaybeSent, NeverSent, NotSent, Outgoing
from dispatch.notices.ledger import Claimed
from dispatch.notices.recipients import Addressed, addressed

AT_ONCE = 16
_IDLE_S = 0.1
_RECOVER_S, _FORGET_S = 1.0, 600.0
logger = logs.get("dispatch.notices.sender")
Pool = ConnectionPool[psycopg.Connection[Any]]
Reached = Callable[[str], None]
"""Told each step, for tests that end the process there."""
Link = Callable[[str], str]
"""Makes the address at which a customer follows a delivery; empty: there is none."""
LINKED = ("customer", "driver_assigned")


class Sender:
    """`run` until stopped. `dead` is told every notice that is given up, and why, before it is marked so."""

    def __init__(
        self,
        pool: Pool,
        rules: Rules,
        channels: Mapping[str, Channel],
        language: str,
        dead: Callable[[Notice, str], None],
        reached: Reached = lambda _step: None,
        link: Link = lambda _delivery_id: "",
    ) -> None:
        self._link = link
        self._pool, self._rules, self._channels = pool, rules, channels
        self._language, self._dead, self._reached = language, dead, reached
        self._keyed = [name for name, channel in channels.items() if channel.keyed]
        self._under_way: set[Future[None]] = set()
        self._recovered = self._forgot = 0.0
        self.state = "starting"

    def run(self, stop: threading.Event) -> None:
        """Sends until stopped; waits for what is under way."""
        with ThreadPoolExecutor(AT_ONCE, "sender") as workers:
            while not stop.is_set():
                try:
                    claimed = self._turn()
                    self.state = "up"
                except psycopg.Error as error:
                    self._lost(error)
                    stop.wait(0.5)
                    continue
                for one in claimed:
                    self._under_way.add(workers.submit(self._send_safely, one))
                if not claimed:
                    stop.wait(_IDLE_S)
        self.state = "stopped"

    def _turn(self) -> list[Claimed]:
        self._under_way = {one for one in self._under_way if not one.done()}
        with self._pool.connection() as connection:
            now = time.monotonic()
            if now - self._recovered > _RECOVER_S:
                self._recovered = now
                ledger.recover(connection, self._keyed, self._policy.send_claim_s)
            if now - self._forgot > _FORGET_S:
                self._forgot = now
                ledger.forget(connection)
            free = AT_ONCE - len(self._under_way)
            return ledger.claim(connection, free) if free else []

    def _send_safely(self, claimed: Claimed) -> None:
        """Whatever goes wrong in here leaves the claim without a report, which is seen to when it has lapsed."""
        try:
            self._reached("claimed")
            self._send(claimed)
        except psycopg.Error as error:
            self._lost(error)
        except Exception as error:  # noqa: BLE001 -- one notice must not end the sending of the others
            logger.error("notice_failed", notice=claimed.notice_id, kind=claimed.kind, reason=type(error).__name__)

    def _send(self, claimed: Claimed) -> None:
        channel = self._channels.get(claimed.channel)
        policy = self._policy
        if channel is None:
            self._give_up(claimed, "the channel is no longer in the settings")
        elif claimed.attempts > policy.send_attempts:
            self._give_up(claimed, "interrupted too often")
        elif claimed.stale_at.timestamp() < time.time():
            self._report(claimed, "dropped", "stale")
        else:
            self._try(claimed, channel, policy)

    def _try(self, claimed: Claimed, channel: Channel, policy: NoticePolicy) -> None:
        with self._pool.connection() as connection:
            whom = addressed(connection, claimed, self._rules, self._language)
        try:
            if whom is None:
                customer = claimed.audience == "customer"
                raise NotSent("nobody knows whom it goes to" if customer else "its order is not in the tables yet")
            linked = (claimed.audience, claimed.kind) == LINKED
            message = outgoing(claimed, whom, self._link(claimed.delivery_id) if linked else "")
            self._reached("sending")
            channel.send(message)
            self._reached("sent")
        except NeverSent as error:
            self._give_up(claimed, str(error))
        except MaybeSent as error:
            self._report(claimed, "unknown", str(error))
        except NotSent as error:
            if claimed.attempts >= policy.send_attempts:
                self._give_up(claimed, str(error))
            else:
                self._report(claimed, "pending", str(error), quiet.retry_ms(policy, claimed.attempts))
        else:
            self._report(claimed, "sent")
            self._reached("reported")

    def _give_up(self, claimed: Claimed, cause: str) -> None:
        self._dead(notice_of(claimed), cause)
        self._report(claimed, "dead", cause)
        logger.error("notice_dead", notice=claimed.notice_id, kind=claimed.kind, reason=cause)

    def _report(self, claimed: Claimed, state: str, reason: str = "", retry_ms: int = 0) -> None:
        with self._pool.connection() as connection:
            ledger.report(connection, claimed, state, reason, retry_ms)
        SENT.labels(claimed.audience, "failed" if state == "pending" else state).inc()

    def _lost(self, error: psycopg.Error) -> None:
        reason = error.diag.message_primary or type(error).__name__  # the rest of what a server says may quote rows
        self.state = f"postgres: {reason}"
        logger.warning("postgres_unreachable", reason=reason)

    @property
    def _policy(self) -> NoticePolicy:
        return self._rules.policy.notices


def outgoing(claimed: Claimed, whom: Addressed, link: str = "") -> Outgoing:
    """The notice in the recipient's words, and the address at which to follow the delivery behind them."""
    said = templates.render(whom.language, claimed.audience, claimed.kind, whom.fields)
    return Outgoing(
        notice_id=claimed.notice_id,
        audience=claimed.audience,
        kind=claimed.kind,
        language=whom.language,
        title=said.title,
        text=f"{said.text} {link}".rstrip(),
        at_ms=round(claimed.at.timestamp() * 1000),
        level=claimed.level,
        delivery_id=claimed.delivery_id,
        driver_id=claimed.driver_id,
        to=whom.to,
        details=claimed.details,
    )


def notice_of(claimed: Claimed) -> Notice:
    """The record that it was made from."""
    return Notice(
        notice_id=claimed.notice_id,
        audience=claimed.audience,  # type: ignore[arg-type]
        kind=claimed.kind,
        delivery_id=claimed.delivery_id,
        driver_id=claimed.driver_id,
        at_ms=round(claimed.at.timestamp() * 1000),
        level=claimed.level,
        details=dict(claimed.details),
    )
