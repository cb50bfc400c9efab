"""Which names mean this machine itself."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is the loopback. Other names are not looked up: whoever owns one may lie."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
