"""Changes of the rules and the zones, made beside the event loop; what goes wrong is worded for a program."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from dispatch.contract.errors import ContractError
from dispatch.core.policy_document import Change, PolicyRefused
from dispatch.core.policy_document import Problem as Finding
from dispatch.core.zone_files import ZoneFileError
from dispatch.inputs.changes import ChangedMeanwhile, NotReached, OtherVersion, TooSoon, UnknownName
from dispatch.log.errors import Misconfigured
from gateways.problems import Problem, unreachable

T = TypeVar("T")
_LIMIT_S = 20.0
_TOLD = 50
"""Findings in one answer."""


class Desk:
    """Runs what waits for Kafka in threads of its own: one change at a time, and a few readings."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="desk")
        self._changing = asyncio.Lock()

    def close(self) -> None:
        """Takes nothing more; what runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def change(self, work: Callable[..., T], *arguments: Any) -> T:
        """A change: of two at once on this gateway the second waits, between gateways Kafka lets one win."""
        async with self._changing:
            return await self.read(work, *arguments)

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """What the work gives. Raises Problem."""
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.run_in_executor(self._threads, work, *arguments), _LIMIT_S)
        except (KafkaException, TimeoutError) as error:
            raise unreachable("Kafka") from error
        except PolicyRefused as error:
            raise refused_policy(error.problems) from error
        except ZoneFileError as error:
            raise refused_zones(str(error)) from error
        except ContractError as error:
            raise Problem(422, "out_of_limits", plain(str(error))) from error
        except Misconfigured as error:
            raise refused(error) from error


def refused(error: Misconfigured) -> Problem:
    """Why a change was not made."""
    said = plain(str(error))
    match error:
        case UnknownName(kind=kind):
            return Problem(404, f"unknown_{kind}", said)
        case ChangedMeanwhile():
            return Problem(409, "changed_meanwhile", said)
        case OtherVersion():
            return Problem(412, "other_version", said)
        case TooSoon(wait_s=wait_s):
            problem = Problem(429, "asked_too_soon", said)
            problem.headers = {"retry-after": str(max(1, round(wait_s + 0.5)))}
            return problem
        case NotReached():
            return unreachable("Kafka")
    return Problem(422, "invalid", said)


def refused_policy(problems: Sequence[Finding]) -> Problem:
    """A document that is no policy, with each finding."""
    more = f", and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
    detail = (
        f"The document is refused: {len(problems)} finding{'' if len(problems) == 1 else 's'}{more}. Nothing changed."
    )
    return Problem(422, "policy_refused", detail, errors=findings(problems))


def findings(problems: Sequence[Finding]) -> list[dict[str, str]]:
    """Each finding: field, what was seen, what is wanted."""
    return [
        {"field": plain(".".join(one.path)), "seen": plain(one.seen), "reason": plain(one.wanted)}
        for one in problems[:_TOLD]
    ]


def refused_zones(said: str) -> Problem:
    """A collection that is no map; the feature is named."""
    where, _, why = said.partition(": ")
    field = where if where.startswith("feature ") and why else "body"
    wrong = [{"field": plain(field), "reason": plain(why if field == where else said)}]
    return Problem(422, "zones_refused", plain(f"{said}. Nothing was changed."), errors=wrong)


def told(differences: Sequence[Change]) -> list[dict[str, Any]]:
    """Field by field what differs."""
    return [{"field": ".".join(one.path), "old": one.old, "new": one.new} for one in differences]


def plain(text: str) -> str:
    """Without what JSON cannot carry, and not longer than an answer should be."""
    return text[:500].encode(errors="replace").decode()
