"""What each kernel interface calls a family."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from wellhead.ip import Family, Protocol


@pytest.mark.parametrize(
    ("family", "of_sockets"), [(Family.IPV4, socket.AF_INET), (Family.IPV6, socket.AF_INET6)]
)
def test_a_family_knows_the_number_of_its_sockets(family: Family, of_sockets: int) -> None:
    assert family.number == of_sockets


@pytest.mark.parametrize("family", Family)
def test_the_loopback_network_of_a_family_is_in_all_of_it(family: Family) -> None:
    assert family.loopback.version == family.everywhere.version == family
    assert family.loopback.subnet_of(family.everywhere)  # type: ignore[arg-type]
    assert family.everywhere.prefixlen == 0


def test_a_family_picks_its_addresses_in_their_order() -> None:
    both = [ip_address(each) for each in ("fd00::2", "10.0.0.2", "fd00::1", "10.0.0.1")]
    assert Family.IPV4.of(both) == (both[1], both[3])
    assert Family.IPV6.of(both) == (both[0], both[2])


@pytest.mark.parametrize(
    ("protocol", "of_sockets"),
    [
        (Protocol.TCP, socket.IPPROTO_TCP),
        (Protocol.UDP, socket.IPPROTO_UDP),
        (Protocol.SCTP, socket.IPPROTO_SCTP),
    ],
)
def test_a_protocol_knows_its_number(protocol: Protocol, of_sockets: int) -> None:
    assert protocol.number == of_sockets
