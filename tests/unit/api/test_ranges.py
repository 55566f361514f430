"""Addresses are drawn at random, each once, until there are none."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.ranges import Address, AddressRanges, family_of, free_port, is_usable

NETWORKS = [
    *("10.0.0.0/27", "10.0.0.0/28", "10.0.0.16/29", "10.0.1.0/30", "10.0.2.0/31", "10.0.3.0/32"),
    *("fd00::/124", "fd00::/127", "fd00::10/125"),
]


@given(st.lists(st.sampled_from(NETWORKS), max_size=4, unique=True), st.sampled_from(["IPv4", "IPv6"]))
def test_every_usable_address_is_drawn_once(networks: list[str], family: str) -> None:
    ranges = AddressRanges(tuple(map(ip_network, networks)))
    usable = {
        address
        for network in ranges.networks
        if family_of(network) == family
        for address in network
        if is_usable(address, network)
    }
    assert all(ranges.holds(address) for address in usable)
    taken: set[Address] = set()
    while (address := ranges.draw(family, taken)) is not None:
        assert address not in taken
        taken.add(address)
    assert taken == usable
    if taken:
        back = taken.pop()
        ranges.returned()
        assert ranges.draw(family, taken) == back


@given(st.sampled_from(["10.0.0.0/16", "10.0.0.0/24", "fd00::/112", "fd00::/64"]))
def test_the_lower_band_is_left_to_people(network: str) -> None:
    ranges = AddressRanges((ip_network(network),))
    first = ip_network(network).network_address
    drawn = ranges.draw(family_of(first), ())
    assert drawn is not None
    assert int(drawn) - int(first) > 16


@pytest.mark.parametrize(
    ("address", "network", "usable"),
    [
        ("10.0.0.0", "10.0.0.0/24", False),
        ("10.0.0.255", "10.0.0.0/24", False),
        ("10.0.0.254", "10.0.0.0/24", True),
        ("10.0.1.0", "10.0.0.0/24", False),
        ("fd00::", "fd00::/112", False),
        ("fd00::ffff", "fd00::/112", True),
    ],
)
def test_a_networks_own_and_broadcast_addresses_are_nobodys(address: str, network: str, usable: bool) -> None:
    assert is_usable(ip_address(address), ip_network(network)) is usable


def test_a_wide_ipv6_range_is_drawn_from_far_and_wide() -> None:
    ranges = AddressRanges((ip_network("fd00::/64"),))
    drawn = {ranges.draw("IPv6", ()) for _ in range(20)}
    assert len(drawn) == 20
    assert max(address for address in drawn if isinstance(address, IPv6Address)) > IPv6Address("fd00::1:0:0")
    assert ranges.draw("IPv4", ()) is None


def test_node_ports_run_out() -> None:
    taken: set[int] = set()
    while (number := free_port(range(30000, 30020), taken)) is not None:
        taken.add(number)
    assert taken == set(range(30000, 30020))
