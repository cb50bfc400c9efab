"""Decides in another version of the code. Run by path, with that version first in the module search path.

It leans on nothing but names that every version has had: the codec, the records, the cores and the policy's parser. A
state is read as that version's worker would restore it. What this version cannot do is said, not guessed.
"""

import sys
from typing import Any, get_type_hints

import msgspec


def main(source: str, target: str) -> None:
    """Reads the steps, writes an answer for each: outcome, reason, events as bytes; or why it cannot be decided."""
    from dispatch.contract import codec
    from dispatch.core.facts import Facts, Refusal
    from dispatch.core.policy_document import parse
    from dispatch.processors.cores import DELIVERY, DRIVER

    cores: dict[str, Any] = {"delivery": DELIVERY, "driver": DRIVER}
    hints = get_type_hints(Facts)
    policies: dict[tuple[bytes, int, str], Any] = {}

    def policy(document: bytes, version: int, zone: str) -> Any:
        key = (document, version, zone)
        if key not in policies:
            whole = msgspec.structs.replace(parse(msgspec.json.decode(document)), version=version)
            policies[key] = whole.for_zone(zone) if zone else whole
        return policies[key]

    def decide(step: dict[str, Any]) -> dict[str, Any]:
        core = cores[step["kind"]]
        state = msgspec.msgpack.decode(step["before"], type=core.state_type)
        raw = msgspec.json.decode(step["facts"])
        known = {name: msgspec.convert(value, hints[name]) for name, value in raw.items()}
        rules = policy(step["policy"], step["policy_version"], step["policy_zone"])
        facts = Facts(now_ms=step["now_ms"], policy=rules, **known)
        made = core.decide(state, codec.decode(step["command"]), facts)
        if isinstance(made, Refusal):
            return {"outcome": "refused", "reason": made.code, "events": []}
        events = [codec.encode(one) for one in made]
        return {"outcome": "accepted" if events else "duplicate", "reason": "", "events": events}

    with open(source, "rb") as steps, open(target, "wb") as answers:
        while size := steps.read(4):
            step = msgspec.msgpack.decode(steps.read(int.from_bytes(size, "big")))
            try:
                answer = decide(step)
            except Exception as error:  # noqa: BLE001 - whatever another version raises is the answer
                answer = {"cannot": f"{type(error).__name__}: {error}"[:200]}
            said = msgspec.msgpack.encode(answer)
            answers.write(len(said).to_bytes(4, "big") + said)


if __name__ == "__main__":
    main(*sys.argv[1:])
