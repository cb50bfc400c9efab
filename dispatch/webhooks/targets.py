"""Where a webhook may go: which addresses are taken, and connections made to the very address that was checked.

A seller names a URL, and we connect from inside our network: whatever is not plainly a public web server is refused,
when the URL is given and again at each sending. The name is resolved by us, every address that it has is judged, and
the connection is made to one of those, so that a name that answers differently a moment later gains nothing.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import idna

PORTS = frozenset({443, 8443})
LONGEST_URL = 2_048
_RESOLVE_S = 5.0
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OWN_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "test", "invalid",
              "onion")  # fmt: skip
"""Last parts of names that are never of the public internet."""
_CLOSED = tuple(
    ipaddress.ip_network(one)
    for one in (
        "192.0.0.0/24",  # protocol assignments, which not every Python knows to be closed
        "168.63.129.16/32",  # a cloud's own services at a public address
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # protocol assignments, Teredo within
        "2001:db8::/32",
        "2002::/16",  # 6to4: any IPv4 address within
        "3fff::/20",
    )
)
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


class TargetRefused(Exception):
    """The URL, or an address of its host, is none that we send to; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was read strictly. `host`: ASCII, lower case, without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""

    @property
    def url(self) -> str:
        """As it is kept."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == {"https": 443, "http": 80}[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def read(url: str, *, loopback: bool) -> Target:
    """The target of a URL. `loopback`: for development, also http and any port there. Raises TargetRefused."""
    if not 1 <= len(url) <= LONGEST_URL:
        raise TargetRefused(f"a URL has 1 to {LONGEST_URL} characters")
    if any(character <= " " or character in '\\"<>^`{|}\x7f' or 0x80 <= ord(character) < 0xA0 for character in url):
        raise TargetRefused("there are characters in it that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetRefused("it cannot be read as a URL") from error
    scheme = parts.scheme
    if scheme not in ("https", "http"):
        raise TargetRefused("https:// is wanted")
    if "@" in parts.netloc:
        raise TargetRefused("a user or password in a URL is not taken")
    if "#" in url:
        raise TargetRefused("a fragment (#) is not taken")
    if parts.netloc.endswith(":") or port == 0:
        raise TargetRefused("the port is none")
    host, local = _host(parts.hostname or "", parts.netloc)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise TargetRefused("the path is to be percent-encoded")
    port = port or {"https": 443, "http": 80}[scheme]
    if local and not loopback:
        raise TargetRefused("the host is this machine")
    if not local and scheme != "https":
        raise TargetRefused("https:// is wanted")
    if not local and port not in PORTS:
        raise TargetRefused(f"the port is {port}; {' and '.join(str(one) for one in sorted(PORTS))} are taken")
    return Target(scheme, host, port, path)


def _host(written: str, netloc: str) -> tuple[str, bool]:
    """The host in ASCII, and whether it is this machine by name or number. Numbers in odd forms are refused."""
    if not written:
        raise TargetRefused("it has no host")
    if "%" in written:
        raise TargetRefused("a percent sign in the host is not taken")
    if netloc.startswith("["):
        try:
            address: Address = ipaddress.IPv6Address(written)
        except ValueError as error:
            raise TargetRefused("the address in brackets is none") from error
        return str(address), address.is_loopback
    try:
        name = written if written.isascii() else idna.encode(written, uts46=True).decode()
    except idna.IDNAError as error:
        raise TargetRefused("the host is no name") from error
    name = name.lower().removesuffix(".")
    if re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", name.rsplit(".", 1)[-1]):
        try:
            address = ipaddress.IPv4Address(name)
        except ValueError as error:
            raise TargetRefused("numbers are taken as a plain IPv4 address only") from error
        return str(address), address.is_loopback
    if name == "localhost":
        return name, True
    if not _NAME.fullmatch(name) or name.rsplit(".", 1)[-1] in _OWN_NAMES:
        raise TargetRefused("the host is no name of the public internet")
    return name, False


def public(address: Address) -> bool:
    """Whether it is plainly of the public internet."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_V6:
        return False  # mapped and compatible IPv4, NAT64, link-local, unique local, multicast and the rest
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address in net for net in _CLOSED if net.version == address.version)


def checked(found: Iterable[str], *, loopback: bool) -> list[str]:
    """The addresses, if every one of them may be sent to. Raises TargetRefused."""
    addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
    if not addresses:
        raise TargetRefused("the host has no address")
    for address in addresses:
        if not (public(address) or (loopback and address.is_loopback)):
            raise TargetRefused("an address of the host is not of the public internet")
    return [str(one) for one in sorted(addresses, key=lambda one: one.version)]


async def resolved(host: str, port: int) -> list[str]:
    """The system's answer. Raises TargetRefused when there is none, TimeoutError when it takes too long."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise TargetRefused("the host has no address") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def check(url: str, *, loopback: bool, resolve: Resolve = resolved) -> Target:
    """The target of a URL whose addresses may all be sent to. Raises TargetRefused, TimeoutError."""
    target = read(url, loopback=loopback)
    checked(await resolve(target.host, target.port), loopback=loopback)
    return target


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked a moment before, and to nothing else."""

    def __init__(self, *, loopback: bool, resolve: Resolve = resolved) -> None:
        self._loopback, self._resolve = loopback, resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first address that answers. Raises TargetRefused, TimeoutError and httpcore's errors."""
        failed: Exception = httpcore.ConnectError("no address")
        for address in checked(await self._resolve(host, port), loopback=self._loopback):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        """As asked."""
        await self._network.sleep(seconds)
