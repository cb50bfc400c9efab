"""Doors to the policy and the flags: what is in force, what a document would change, changing it, and the history."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response

from dispatch.contract.records.system import FeatureFlagToggled, FlagPublished, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.core.policy_document import PolicyRefused, differences, parse, whole
from dispatch.inputs.changes import OtherVersion
from dispatch.inputs.rulebook import InForce, Rule, next_policy, policy_in, toggled
from dispatch.inputs.rulebook import change as change_rules
from dispatch.inputs.rulebook import history as rules_history
from dispatch.inputs.rulebook import in_force as rules_in_force
from gateways.access import principal
from gateways.commands import json
from gateways.commerce.bodies import FlagBody, PolicyBody, PolicyChangesBody, PolicyCheckBody
from gateways.commerce.desk import Desk, findings, told
from gateways.models import Id
from gateways.problems import Problem

IfMatch = Annotated[str | None, Header(alias="if-match", description="The ETag of the version it was made from.")]
Limit = Annotated[int, Query(ge=1, le=200)]
_ETAG = re.compile(r'(?:W/)?"?(\d{1,15})"?')
_Make = Callable[[Policy], Policy]


class Rulebook:
    """The rules of one namespace, read and changed at the desk."""

    def __init__(self, desk: Desk, brokers: str, namespace: str) -> None:
        self._desk, self._at = desk, (brokers, namespace)

    async def in_force(self) -> InForce:
        """What the topics say now."""
        return await self._desk.read(rules_in_force, *self._at)

    async def history(self) -> list[PolicyPublished | FeatureFlagToggled]:
        """Every version and every change, oldest first."""
        return await self._desk.read(rules_history, *self._at)

    async def change(self, decide: Callable[[InForce], Sequence[Rule]]) -> tuple[InForce, Sequence[Rule]]:
        """Puts in force what `decide` makes of what is in force."""
        return await self._desk.change(change_rules, *self._at, decide)


def routes(book: Rulebook) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["rules"])
    _policy(router, book)
    _changing(router, book)
    _flags(router, book)
    return router


def _policy(router: APIRouter, book: Rulebook) -> None:
    @router.get("/v2/admin/policy")
    async def policy(zone: Annotated[str, Query(max_length=128)] = "") -> Response:
        """The policy in force, every field; with `zone`, as it holds for deliveries of that zone."""
        found = await book.in_force()
        now = found.policy or Policy(version=0)
        shown = msgspec.structs.replace(now.for_zone(zone), by_zone={}) if zone else now
        version = _version(found)
        body = {"version": version, "document": _document(shown), **_last(found.published)}
        return json(body, headers={"etag": f'"{version}"'})

    @router.post("/v2/admin/policy/check")
    async def check(body: PolicyCheckBody) -> Response:
        """Whether a document is a good policy, and what it would change. Nothing is changed."""
        found = await book.in_force()
        now = found.policy or Policy()
        answer: dict[str, Any] = {"version": _version(found), "good": True, "findings": [], "differences": []}
        try:
            wanted = _of_changes(body.changes)(now) if body.changes is not None else _parsed(body.document)
        except PolicyRefused as error:
            answer |= {"good": False, "findings": findings(error.problems)}
        else:
            answer["differences"] = told(differences(now, wanted))
        return json(answer)

    @router.get("/v2/admin/policy/history")
    async def history(limit: Limit = 50, before: Annotated[int | None, Query(ge=1)] = None) -> Response:
        """The versions, newest first: when, by whom, why, and what each changed. `before`: older ones than this."""
        versions, was = [], Policy()
        for rule in await book.history():
            if isinstance(rule, PolicyPublished):
                now = policy_in(rule)
                if before is None or rule.version < before:
                    versions.append(
                        {"version": rule.version, **_last(rule), "differences": told(differences(was, now))}
                    )
                was = now
        page = versions[::-1][:limit]
        more = len(versions) > limit
        return json({"versions": page, "before": page[-1]["version"] if more else None})


def _changing(router: APIRouter, book: Rulebook) -> None:
    async def put_in_force(request: Request, made_from: str | None, reason: str, make: _Make) -> Response:
        wanted_version, actor = _wanted_version(made_from), principal.of(request).subject

        def decide(found: InForce) -> list[Rule]:
            now = _version(found)
            if wanted_version is not None and wanted_version != now:
                raise OtherVersion(
                    f"it was made from version {wanted_version}, and {now} is in force; nothing was changed"
                )
            policy = make(found.policy or Policy())
            if found.policy is not None and not differences(found.policy, policy):
                return []
            return [next_policy(found, policy, actor, reason)]

        found, made = await book.change(decide)
        version = made[0].version if made else _version(found)
        policy = policy_in(made[0]) if made and isinstance(made[0], PolicyPublished) else found.policy
        body = {"version": version, "differences": told(differences(found.policy or Policy(), policy or Policy()))}
        return json(body, headers={"etag": f'"{version}"'})

    @router.put("/v2/admin/policy")
    async def put(body: PolicyBody, request: Request, if_match: IfMatch = None) -> Response:
        """Puts a document in force as the next version. One that is refused changes nothing: 422 with each finding."""
        wanted = _parsed(body.document)
        return await put_in_force(request, if_match, body.reason, lambda _now: wanted)

    @router.patch("/v2/admin/policy")
    async def patch(body: PolicyChangesBody, request: Request, if_match: IfMatch = None) -> Response:
        """Changes some fields, as the next version."""
        return await put_in_force(request, if_match, body.reason, _of_changes(body.changes))


def _flags(router: APIRouter, book: Rulebook) -> None:
    @router.get("/v2/admin/flags")
    async def flags() -> Response:
        """The flags as they are, who set each last, and why."""
        found = await book.in_force()
        return json({"flags": [_flag(found, name) for name in Flags.__struct_fields__]})

    @router.get("/v2/admin/flags/history")
    async def history(limit: Limit = 50, flag: Annotated[str, Query(max_length=60)] = "") -> Response:
        """The changes of all flags, or of one, newest first."""
        if flag:
            _known(flag)
        toggles = [rule for rule in await book.history() if isinstance(rule, FeatureFlagToggled)]
        wanted = [rule for rule in toggles if flag in ("", rule.flag)]
        return json({"changes": [_toggle(rule) for rule in wanted[::-1][:limit]]})

    @router.put("/v2/admin/flags/{name}")
    async def put(name: Id, body: FlagBody, request: Request) -> Response:
        """Sets a flag, for deliveries that become ready from now on."""
        _known(name)
        given = body.model_dump(exclude={"reason"}, exclude_none=True)
        if "zones" in given:
            given["zones"] = tuple(dict.fromkeys(given["zones"]))
        actor = principal.of(request).subject

        def decide(found: InForce) -> tuple[Rule, ...]:
            flag = msgspec.structs.replace(found.flag(name), **given)
            return toggled(found, name, flag, actor, body.reason)

        found, made = await book.change(decide)
        after = {**found.flags, **{rule.flag: rule for rule in made if isinstance(rule, FlagPublished)}}
        return json(_flag(InForce(found.policy, found.published, after), name) | {"changed": bool(made)})


def _known(name: str) -> None:
    if name not in Flags.__struct_fields__:
        raise Problem(404, "unknown_flag", f"There is no such flag; there are {', '.join(Flags.__struct_fields__)}.")


def _parsed(document: Any) -> Policy:
    return parse({name: value for name, value in (document or {}).items() if name != "version"})


def _of_changes(given: dict[str, Any]) -> _Make:
    return lambda now: _parsed(merged(whole(now), given))


def merged(document: Any, given: Any) -> Any:
    """RFC 7396: objects are merged field by field, null takes a field away, all else replaces."""
    if not isinstance(given, dict):
        return given
    found = dict(document) if isinstance(document, dict) else {}
    for name, value in given.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def _wanted_version(if_match: str | None) -> int | None:
    """The version that a change was made from; None: whichever there is."""
    if if_match is None:
        raise Problem(428, "version_wanted", 'If-Match is wanted: the ETag of GET /v2/admin/policy, or "*".')
    if if_match.strip() in ("*", '"*"'):
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise Problem(412, "other_version", "If-Match names no version; the ETag of GET /v2/admin/policy is wanted.")
    return int(found[1])


def _version(found: InForce) -> int:
    return found.published.version if found.published else 0


def _document(policy: Policy) -> dict[str, Any]:
    return {name: value for name, value in whole(policy).items() if name != "version"}


def _last(rule: PolicyPublished | FlagPublished | None) -> dict[str, Any]:
    if rule is None:
        return {"at": None, "actor_id": None, "reason": None}
    return {"at": _time(rule.at_ms), "actor_id": rule.actor_id, "reason": rule.reason}


def _flag(found: InForce, name: str) -> dict[str, Any]:
    last = found.flags.get(name)
    return {"flag": name, **_setting(found.flag(name)), "version": last.version if last else 0, **_last(last)}


def _setting(flag: Flag) -> dict[str, Any]:
    return {"enabled": flag.enabled, "rollout_percent": flag.rollout_percent, "zones": list(flag.zones)}


def _toggle(rule: FeatureFlagToggled) -> dict[str, Any]:
    was = Flag(enabled=rule.was_enabled, rollout_percent=rule.was_rollout_percent, zones=tuple(rule.was_zones))
    now = Flag(enabled=rule.enabled, rollout_percent=rule.rollout_percent, zones=tuple(rule.zones))
    return {
        "flag": rule.flag, "version": rule.version, "was": _setting(was), "now": _setting(now),
        "at": _time(rule.at_ms), "actor_id": rule.actor_id, "reason": rule.reason,
    }  # fmt: skip


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
