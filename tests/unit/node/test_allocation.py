"""Which address a pod gets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.node.network.allocation import AddressPool, AddressPools, NoAddressLeft, next_address
from wellhead.node.network.families import gateway
from wellhead.node.network.links import mac_address

NETWORK = IPv4Network("10.244.3.0/24")
SMALL = IPv4Network("10.244.3.0/29")
HOSTS = [IPv4Address(f"10.244.3.{host}") for host in range(2, 7)]


def test_the_first_pod_gets_the_address_after_the_gateway() -> None:
    assert gateway(NETWORK) == IPv4Address("10.244.3.1")
    assert next_address(NETWORK, (), None) == IPv4Address("10.244.3.2")


@given(st.sets(st.sampled_from(HOSTS), max_size=len(HOSTS) - 1), st.sampled_from([None, *HOSTS]))
def test_an_address_is_free_and_the_next_one_after_the_last(
    used: set[IPv4Address], last: IPv4Address | None
) -> None:
    found = next_address(SMALL, used, last)
    assert found in HOSTS
    assert found not in used
    start = HOSTS.index(last) + 1 if last else 0
    order = HOSTS[start:] + HOSTS[:start]
    assert found == next(address for address in order if address not in used)


def test_a_full_network_has_no_address() -> None:
    with pytest.raises(NoAddressLeft, match=r"all 5 pod addresses of 10\.244\.3\.0/29"):
        next_address(SMALL, HOSTS, None)


def test_a_released_address_is_reused_last_also_after_a_restart(tmp_path: Path) -> None:
    pool = AddressPool(SMALL, tmp_path / "last")
    first, second = pool.allocate(), pool.allocate()
    pool.release(first)
    pool = AddressPool(SMALL, tmp_path / "last")
    pool.take(second)
    assert [pool.allocate() for _ in range(4)] == [*HOSTS[2:], first]


def test_a_pod_gets_an_address_of_each_family_and_a_full_family_costs_the_other_none(tmp_path: Path) -> None:
    pools = AddressPools((IPv6Network("fd00::/64"), SMALL), tmp_path)
    first, *others = [pools.allocate() for _ in HOSTS]
    assert first == (IPv6Address("fd00::2"), HOSTS[0])
    with pytest.raises(NoAddressLeft):
        pools.allocate()
    pools.release(first)
    assert pools.allocate()[1] == HOSTS[0]
    assert str(pools.interfaces(others[0])[0]) == "fd00::3/64"


def test_the_hardware_address_is_made_from_the_ip_address() -> None:
    assert mac_address(IPv4Address("10.244.3.8")) == "0a:58:0a:f4:03:08"
