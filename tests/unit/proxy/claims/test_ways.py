"""Which networks lie behind other machines."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_network

from hypothesis import given
from hypothesis import strategies as st

from wellhead.ip import Family, IPNetwork
from wellhead.proxy.claims.ways import Destination, Hop, Link, behind_others, ways

networks = st.builds(
    lambda address, length: IPv4Network((int(IPv4Address("10.0.0.0")) + address, length), strict=False),
    st.integers(0, 63),
    st.integers(24, 32),
)


def longest(routes: dict[IPNetwork, bool], address: IPv4Address) -> bool:
    """As the kernel looks it up."""
    matching = [each for each in routes if address in each]
    return bool(matching) and routes[max(matching, key=lambda each: each.prefixlen)]


@given(st.dictionaries(networks, st.booleans(), max_size=12))
def test_the_longest_route_decides(routes: dict[IPNetwork, bool]) -> None:
    found = list(behind_others(routes, Family.IPV4))
    for last in range(256):
        address = IPv4Address("10.0.0.0") + last
        assert any(address in each for each in found) == longest(routes, address)


def hop(device: int, *, by_gateway: bool = False) -> Hop:
    return Hop(by_gateway, device)


LINKS = {1: Link("eth0", ""), 2: Link("cni0", "bridge"), 3: Link("flannel-wg", "wireguard")}


def routed(**routes: tuple[str, Hop]) -> list[str]:
    table = {Destination(ip_network(to), 0): way for to, way in routes.values()}
    return [str(each) for each in ways(table, LINKS, bridged_unseen=False).routed]


def test_a_gateway_and_a_tunnel_lead_to_others_a_link_does_not() -> None:
    assert routed(
        nodes=("10.240.0.0/24", hop(1)),
        own=("10.244.1.0/24", hop(2)),
        other=("10.244.2.0/24", hop(1, by_gateway=True)),
        third=("10.244.3.0/24", hop(3)),
    ) == ["10.244.2.0/23"]


def test_this_nodes_part_of_a_tunnelled_network_is_its_own() -> None:
    found = routed(pods=("10.244.0.0/23", hop(3)), own=("10.244.1.0/24", hop(2)))
    assert found == ["10.244.0.0/24"]


def test_a_default_route_says_nothing() -> None:
    assert routed(everything=("0.0.0.0/0", hop(1, by_gateway=True))) == []


def test_of_two_routes_to_one_network_the_lower_metric_counts() -> None:
    to = ip_network("10.244.2.0/24")
    table = {Destination(to, 200): hop(1, by_gateway=True), Destination(to, 100): hop(1)}
    assert ways(table, LINKS, bridged_unseen=False).routed == ()


def test_bridges_count_where_nat_does_not_see_what_crosses_them() -> None:
    assert ways({}, LINKS, bridged_unseen=True).bridges == ("cni0",)
    assert ways({}, LINKS, bridged_unseen=False).bridges == ()
