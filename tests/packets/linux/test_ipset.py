"""What is in the kernel's sets, in a namespace of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from tests.packets.proxy.world import Host
from wellhead.linux.ipset import AddressSet, address_sets

pytestmark = pytest.mark.cluster


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host()
    yield found
    found.close()


def make(name: str, kind: str, *elements: tuple[str, str], family: int = 2) -> None:
    from pyroute2.ipset import IPSet

    with IPSet() as sets:
        sets.create(name, stype=kind, family=family)
        for etype, value in elements:
            sets.add(name, value, etype=etype, family=family)


def between(first: str, last: str) -> tuple[Any, Any]:
    return ip_address(first), ip_address(last)


def test_sets_of_addresses_are_read_and_others_are_not(host: Host) -> None:
    def work() -> list[AddressSet]:
        make("pools", "hash:net", ("net", "10.244.0.0/16"))
        make("nodes", "hash:ip", ("ip", "10.240.0.11"))
        make("six", "hash:net", ("net", "fd00:10::/64"), family=10)
        make("empty", "hash:ip")
        make("ports", "hash:ip,port")
        return address_sets(["pools", "nodes", "six", "empty", "ports", "none"])

    found = {each.name: each.ends for each in host.inside(work)}
    assert found == {
        "pools": (between("10.244.0.0", "10.244.255.255"),),
        "nodes": (between("10.240.0.11", "10.240.0.11"),),
        "six": (between("fd00:10::", "fd00:10::ffff:ffff:ffff:ffff"),),
        "empty": (),
    }
