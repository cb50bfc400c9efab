"""Where a webhook may go, how it is signed and when it is tried again: without any server but a silent one."""

import asyncio
import base64
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from dispatch.config import Settings
from dispatch.contract.records import delivery_events as events
from dispatch.webhooks import kinds
from dispatch.webhooks.post import Answer, Post, headers_of, pause_s, wait_s
from dispatch.webhooks.sealing import NotOurs, Seal, new_secret, seal_of
from dispatch.webhooks.targets import TargetRefused, check, checked, read

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WIDE = "".join(chr(ord(one) + 0xFEE0) if one.isdigit() else one for one in "127.0.0.1")
ROUND = "".join(chr(ord(one) - ord("a") + 0x24D0) for one in "localhost")
"""Digits and letters in forms that are mapped to plain ones."""
REFUSED = (
    "http://shop.example/hook", "ftp://shop.example/", "//shop.example/", "javascript:alert(1)", "file:///etc/passwd",
    "gopher://shop.example/", "https://", "https:///path", "https:shop.example",
    "https://user:pass@shop.example/", "https://shop.example@127.0.0.1/", "https://@shop.example/",
    "https://shop.example\\@127.0.0.1/", "https://shop.example/#part", "https://shop.example:22/",
    "https://shop.example:6379/", "https://shop.example:0/", "https://shop.example:99999/", "https://shop.example:/",
    "https://localhost/", "https://LOCALHOST./", "https://x.localhost/", "https://127.0.0.1/", "https://127.1/",
    "https://0x7f.1/", "https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://0177.0.0.1/",
    "https://127.0.0.1.:8443/", *(f"https://{host}/" for host in (WIDE, "127\u30020\u30020\u30021", ROUND)),
    "https://[::1]/", "https://[::ffff:127.0.0.1]:22/", "https://[fe80::1%25eth0]/", "https://[::1",
    "https://[1.2.3.4]/", "https://%31%32%37.0.0.1/", "https://intranet/", "https://printer.local/", "https://metadata.google.internal/",
    "https://1.0.168.192.in-addr.arpa/", "https://shop .example/", "https://shop.example/a b",
    "https://shop.example/\r\nx: y", "https://shop.example/\x00", "https://shop..example/", "https://-shop.example/",
    "https://" + "a" * 3000 + ".example/",
)  # fmt: skip
CLOSED = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "2001::1",
    "2002:7f00:1::", "100::1", "3fff::1", "5f00::1",
)  # fmt: skip


@pytest.mark.parametrize("url", REFUSED, ids=[f"url{number:02}" for number in range(len(REFUSED))])
def test_urls_that_are_refused_as_they_are_written(url: str) -> None:
    with pytest.raises(TargetRefused):
        read(url, loopback=False)


@pytest.mark.parametrize("address", CLOSED, ids=[f"address{number:02}" for number in range(len(CLOSED))])
def test_no_name_leads_to_an_address_that_is_not_public_nor_does_one_beside_a_public_one(address: str) -> None:
    async def answers(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", address]

    with pytest.raises(TargetRefused, match="not of the public internet"):
        asyncio.run(check("https://shop.example/hook", loopback=False, resolve=answers))
    with pytest.raises(TargetRefused):
        checked([address], loopback=False)


def test_what_is_public_is_taken_and_kept_in_one_form() -> None:
    for url, kept in (
        ("https://shop.example", "https://shop.example/"),
        ("HTTPS://Shop.Example.:443/hook?a=1", "https://shop.example/hook?a=1"),
        ("https://shop.example:8443/x", "https://shop.example:8443/x"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x"),
    ):
        assert read(url, loopback=False).url == kept
    assert checked(["2606:4700::1111", "93.184.215.14"], loopback=False) == ["93.184.215.14", "2606:4700::1111"]
    with pytest.raises(TargetRefused, match="no address"):
        checked([], loopback=False)


def test_this_machine_is_open_for_development_only_and_nothing_else_with_it() -> None:
    assert read("http://127.0.0.1:9999/x", loopback=True).url == "http://127.0.0.1:9999/x"
    assert checked(["127.0.0.1", "::1"], loopback=True) == ["127.0.0.1", "::1"]
    for url in ("http://shop.example/", "https://shop.example:9999/"):
        with pytest.raises(TargetRefused):
            read(url, loopback=True)
    for address in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"):
        with pytest.raises(TargetRefused):
            checked([address], loopback=True)


def test_a_name_that_changes_its_mind_after_the_check_gains_nothing() -> None:
    """Registration saw a public address; at the sending the name leads to a server on this machine."""
    said = [["93.184.215.14"], ["127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]

    async def rebinding(_host: str, _port: int) -> list[str]:
        return said.pop(0)

    async def tried() -> list[Answer]:
        post = Post(Settings(webhook_timeout_s=2), 4, rebinding)
        await check("https://shop.example:8443/", loopback=False, resolve=rebinding)
        answers = [await post.send("https://shop.example:8443/", "m", "{}", [new_secret()], NOW) for _ in range(3)]
        await post.close()
        return answers

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 8443))
        listening.listen()
        listening.settimeout(0.2)
        for answer in asyncio.run(tried()):
            assert answer.status is None
            assert answer.reason == "not sent: an address of the host is not of the public internet"
        with pytest.raises(TimeoutError):
            listening.accept()


def test_the_library_of_receivers_takes_our_signature_and_refuses_wrong_old_and_replayed_ones() -> None:
    secret, other, body, now = new_secret(), new_secret(), '{"type":"delivery.delivered"}', datetime.now(UTC)
    signed = dict(headers_of("m-1", body, [secret], now))
    assert Webhook(secret).verify(body, signed) == {"type": "delivery.delivered"}
    old = dict(headers_of("m-1", body, [secret], now - timedelta(minutes=6)))
    future = dict(headers_of("m-1", body, [secret], now + timedelta(minutes=6)))
    late = {**signed, "webhook-timestamp": str(int(now.timestamp()) + 60)}
    for key, said, headers in (
        (other, body, signed), (secret, body + " ", signed), (secret, body, old), (secret, body, future),
        (secret, body, late), (secret, body, {**signed, "webhook-id": "m-2"}),
        (secret, body, {**signed, "webhook-signature": "v1,AAAA"}),
        (secret, body, {name: value for name, value in signed.items() if name != "webhook-signature"}),
    ):  # fmt: skip
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(said, headers)
    both = dict(headers_of("m-1", body, [other, secret], now))
    assert len(both["webhook-signature"].split(" ")) == 2
    for key in (secret, other):
        assert Webhook(key).verify(body, both)


def test_pauses_grow_over_three_days_with_chance_and_wait_as_long_as_they_are_asked_to() -> None:
    schedule = [float(one) for one in Settings().webhook_retries_s.split()]
    assert schedule[:3] == [5, 300, 1800]
    assert sum(schedule) >= 3 * 86_400
    assert [pause_s(schedule, count, 0, lambda: 0.0) for count in range(1, 10)] == schedule
    assert pause_s(schedule, 10, 0, lambda: 0.0) is None
    assert pause_s(schedule, 1, 0, lambda: 1.0) == 6.0
    assert pause_s(schedule, 1, 120, lambda: 1.0) == 120
    for text, seconds in (
        ("120", 120.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("9" * 400, 86_400.0), ("²", 0.0),
        ("Sat, 21 Nov 2026 12:02:00 GMT", 120.0), ("Sat, 21 Nov 2020 12:02:00 GMT", 0.0),
        ("Sat, 21 Nov 9999 12:02:00 GMT", 86_400.0),
    ):  # fmt: skip
        assert wait_s(text, NOW) == seconds, text


def test_secrets_are_sealed_for_one_endpoint_under_one_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "here")
    secret = new_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    sealed = seal_of(settings).sealed(secret, "e1")
    assert secret.encode() not in sealed
    assert seal_of(settings).opened(sealed, "e1") == secret
    assert (tmp_path / "here" / "webhooks.key").stat().st_mode & 0o077 == 0
    for seal, held, endpoint in (
        (Seal(b"another key of this kind"), sealed, "e1"), (seal_of(settings), sealed, "e2"),
        (seal_of(settings), sealed[:-1] + bytes([sealed[-1] ^ 1]), "e1"), (seal_of(settings), b"2" + sealed[1:], "e1"),
        (seal_of(settings), b"", "e1"), (seal_of(settings), b"1", "e1"),
    ):  # fmt: skip
        with pytest.raises(NotOurs):
            seal.opened(held, endpoint)


def test_every_event_of_a_delivery_is_told_or_left_out_on_purpose() -> None:
    left_out = {
        "PrepTimeChanged", "AssignmentStarted", "DriverCandidatesFound", "NoDriverFound", "ReservationRequested",
        "ReservationFailed", "DriverOfferSent", "DriverAccepted", "DriverRejected", "OfferExpired", "OfferWithdrawn",
        "DriverLost", "DriverRecovered", "ProofRefused", "DeliveryEconomicsEstimated", "DeliveryEconomicsSettled",
    }  # fmt: skip
    assert {kind.__name__ for kind in events.AUDIT_WORDS} - {kind.__name__ for kind in kinds.TOLD} == left_out
    assert len(set(kinds.TYPES)) == len(kinds.TYPES)
