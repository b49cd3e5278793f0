"""Which addresses may be dialled: a host name is resolved once, and only a checked address is connected to.

Called by the HTTP door and the mail gateway. A name that resolves to the own network, to the machine itself or to a
cloud's metadata service is refused, so that a tenant's configuration cannot reach what only the operator should.
Resolving by itself and dialling what was checked also defeats a name that changes its answer in between.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from dataclasses import dataclass

from integrations.errors import PermanentFailure, TemporaryFailure

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Networks that carry an IPv4 address inside an IPv6 one (RFC 6052, RFC 3056): the inner address is what counts.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Metadata services of clouds that are not link-local: Amazon (IPv6), Alibaba, Oracle.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))


@dataclass(frozen=True)
class Address:
    """An address that was checked and may be dialled."""

    ip: str
    port: int


def resolve(host: str, port: int, *, allow_private: bool, deadline_seconds: float) -> tuple[Address, ...]:
    """The addresses of ``host`` that may be dialled, in the resolver's order.

    Raises TemporaryFailure if the name cannot be resolved now, PermanentFailure if it leads only where it must not.
    """
    found = _look_up(host, port, deadline_seconds=deadline_seconds)
    permitted = tuple(Address(ip, port) for ip in found if may_dial(ip, allow_private=allow_private))
    if not permitted:
        raise PermanentFailure(f"{host} leads to an address that must not be called: a private or reserved network.")
    return permitted


def may_dial(ip: str, *, allow_private: bool) -> bool:
    """Whether an address may be dialled. Link-local, multicast, unspecified and metadata addresses never are."""
    address = _unwrap(ipaddress.ip_address(ip.partition("%")[0]))
    if address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA:
        return False
    if allow_private and (address.is_private or address.is_loopback or _is_shared(address)):
        return True
    return address.is_global and not address.is_reserved


def _unwrap(address: IP) -> IP:
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _is_shared(address: IP) -> bool:
    """Carrier-grade NAT (RFC 6598), used by overlay networks."""
    return isinstance(address, ipaddress.IPv4Address) and address in ipaddress.IPv4Network("100.64.0.0/10")


def _look_up(host: str, port: int, *, deadline_seconds: float) -> tuple[str, ...]:
    """Resolve in a thread of its own, as the system's resolver knows no deadline."""
    answers: queue.SimpleQueue[tuple[str, ...] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name=f"resolve {host}").start()
    try:
        answer = answers.get(timeout=max(0.0, deadline_seconds))
    except queue.Empty:
        raise TemporaryFailure(f"The address of {host} could not be looked up in time.") from None
    if isinstance(answer, tuple):
        return answer
    raise TemporaryFailure(f"The address of {host} could not be looked up.")
