"""Which network addresses a call may go out to. A table of our own; no resolving, no connecting.

`ipaddress.is_global` and `is_private` are not used: they take 224.0.0.1, NAT64 and 6to4 forms of 127.0.0.1 for global,
and 100.64.0.1 for not private (SECURITY §0.6).
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple

from protocol.errors import ProtocolError

_LOOPBACK_4: Final = IPv4Network("127.0.0.0/8")
_LOOPBACK_6: Final = IPv6Address("::1")

_REFUSED_4: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_PUBLIC_6: Final = IPv6Network(
    "2000::/3"
)  # all that is ever routed; leaves out ::, mapped, fc00::, fe80::, fec0::, ff00::
_REFUSED_6: Final = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which hides an IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # how IPv6-only lines reach IPv4: judged by the address inside

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)?"
)


class Target(NamedTuple):
    """The parts of a URL that decide where it goes; `host` without brackets, lower-case."""

    scheme: str
    host: str
    port: int | None


@lru_cache(maxsize=1024)
def may_connect(address: str, loopback_ok: bool) -> bool:
    """True when the address, in its canonical numeric form, is public, or loopback where that is allowed."""
    try:
        if ":" in address:
            return _may_connect_6(IPv6Address(address), loopback_ok)
        return _may_connect_4(IPv4Address(address), loopback_ok)
    except AddressValueError:
        return False


@lru_cache(maxsize=1024)
def target(url: str) -> Target:
    """Read a URL strictly: no user, fragment, blank, backslash or escape that another reader could take otherwise.

    Raises ProtocolError `outbound-refused`.
    """
    found = _URL.fullmatch(url)
    if found is None or int(found["port"] or 0) > 65535 or not _plain_host(found["host"]):
        raise ProtocolError("outbound-refused", field="url", expected="https://host/path")
    return Target(found["scheme"], found["host"].strip("[]").lower(), int(found["port"]) if found["port"] else None)


def _plain_host(host: str) -> bool:
    """A canonical address, or a name that no reader takes for one (127.1, 0177.0.0.1, 2130706433, 0x7f.1)."""
    if host.startswith("["):
        return is_numeric(host[1:-1])
    last = host.rpartition(".")[2].lower()
    looks_numeric = last.isdigit() or last.startswith("0x")
    return is_numeric(host) if looks_numeric else bool(last) and not host.startswith(".") and ".." not in host


def is_numeric(host: str) -> bool:
    """True for an address in canonical form."""
    try:
        IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """True for localhost and the numeric loopback addresses: the only ones that may go without TLS."""
    if host == "localhost":
        return True
    return is_numeric(host) and may_connect(host, True) and not may_connect(host, False)


def within(bases: Iterable[str]) -> Callable[[str], bool]:
    """A test for URLs that are one of `bases` or lie under one of them."""
    exact = frozenset(base.rstrip("/") for base in bases)
    prefixes = tuple(base + "/" for base in exact)
    return lambda url: url in exact or url.startswith(prefixes)


def _may_connect_4(address: IPv4Address, loopback_ok: bool) -> bool:
    if loopback_ok and address in _LOOPBACK_4:
        return True
    return not any(address in block for block in _REFUSED_4)


def _may_connect_6(address: IPv6Address, loopback_ok: bool) -> bool:
    if address.scope_id is not None:
        return False
    if loopback_ok and address == _LOOPBACK_6:
        return True
    if address in _NAT64:
        return _may_connect_4(IPv4Address(int(address) & 0xFFFFFFFF), False)
    return address in _PUBLIC_6 and not any(address in block for block in _REFUSED_6)
