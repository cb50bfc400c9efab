"""The checker over a log of whole deliveries made in memory by the real host, beside plain decoding."""

import time
from typing import Any

from bench.replay import made
from dispatch.checker import check_records
from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.log.application import Record

_FROM_OUTSIDE = (dc.MarkReady, dc.AcceptOffer, dc.ReportProgress, vc.SignOn)


def run(orders: int = 1_000) -> dict[str, float]:
    """Records a second of CPU, over so many whole deliveries with all that was asked, told and stored."""
    log = made(orders)
    records = [record for topic in log.values() for record in topic] + _asked(log["decisions"])
    begun = time.process_time()
    for record in records:
        _decoded(record)
    decoding_s = time.process_time() - begun
    begun = time.process_time()
    report = check_records(records)
    checking_s = time.process_time() - begun
    if not report.ok:
        raise AssertionError(report.text())
    count = report.counts["records"]
    return {
        "records": count,
        "records checked a second of CPU": count / checking_s,
        "of plain decoding (1 = as fast)": decoding_s / checking_s,
    }


def _asked(decisions: list[Record]) -> list[Record]:
    """What came from outside, as it lay in the topics of commands."""
    asked: list[Record] = []
    for record in decisions:
        decision: Any = codec.decode(record.value)
        if isinstance(codec.decode(decision.command), _FROM_OUTSIDE):
            topic = f"{decision.aggregate}.commands"
            asked.append(Record(topic, 0, len(asked), decision.now_ms, record.key, decision.command))
    return asked


def _decoded(record: Record) -> None:
    if record.topic.endswith(".state"):
        return
    try:
        codec.decode(record.value)
    except ContractError as error:
        raise AssertionError(f"{record.topic} {record.offset}: {error}") from error
