"""Whom nftables mode remembers, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from tests.packets.proxy.backends import by_nftables
from tests.packets.proxy.nftables_world import ALL_IPV6, NftablesWorld, sticky
from tests.packets.proxy.test_source_ip import (
    CLUSTER_IP,
    VIP,
    VIP6,
    at,
)
from tests.packets.proxy.world import (
    CLIENT,
    CLIENT6,
    NODE6,
    POD_A,
    POD_A6,
    POD_B,
    POD_B6,
    POD_FAR,
    POD_FAR6,
    dial,
)
from tests.patience import until

pytestmark = [pytest.mark.cluster, by_nftables]


@pytest.mark.parametrize("udp", [False, True])
def test_an_ipv6_client_returns_to_its_endpoint_whichever_address_it_dials(
    world: NftablesWorld, udp: bool
) -> None:
    world.program([], [])
    world.program([sticky()], at(*ALL_IPV6))
    first = dial(world.outside, VIP6, 80, source=CLIENT6, udp=udp).server
    for _ in range(8):
        assert dial(world.outside, VIP6, 80, source=CLIENT6, udp=udp).server == first
        assert dial(world.outside, NODE6, 30080, source=CLIENT6, udp=udp).server == first
    clients = {each[0]["elem"]["val"]["concat"][1] for each in world.elements("affinity", "ip6")}
    assert clients == {CLIENT6}


def test_ipv6_clients_are_told_apart(world: NftablesWorld) -> None:
    """nft 1.0.6 would compile the same rules to write the key's last word over."""
    sources = [f"2001:db8:51::79:{number:x}" for number in range(1, 41)]
    world.program([], [])
    world.program([sticky()], at(*ALL_IPV6))
    world.outside.ip(*(f"addr add {each}/128 dev lo nodad" for each in sources))
    try:
        first = {each: dial(world.outside, VIP6, 80, source=each).server for each in sources}
        assert set(first.values()) == set(ALL_IPV6)
        assert {each: dial(world.outside, VIP6, 80, source=each).server for each in sources} == first
    finally:
        world.outside.ip(*(f"addr del {each}/128 dev lo" for each in sources))


def test_another_ipv6_endpoint_moves_nobody_and_a_removed_one_is_left_at_once(world: NftablesWorld) -> None:
    world.program([], [])
    world.program([sticky()], at(POD_A6))
    assert dial(world.outside, VIP6, 80, source=CLIENT6).server == POD_A6
    world.program([sticky()], at(*ALL_IPV6))
    for _ in range(8):
        assert dial(world.outside, VIP6, 80, source=CLIENT6).server == POD_A6
    world.program([sticky()], at(POD_B6, POD_FAR6))
    second = dial(world.outside, VIP6, 80, source=CLIENT6).server
    assert second in (POD_B6, POD_FAR6)
    for _ in range(8):
        assert dial(world.outside, VIP6, 80, source=CLIENT6).server == second


def test_affinity_never_leads_local_traffic_off_the_node(world: NftablesWorld) -> None:
    world.program([], [])
    local = sticky(externalTrafficPolicy="Local")
    world.program([local], at(POD_FAR))
    assert dial(world.pod_a, VIP, 80).server == POD_FAR  # the short circuit; remembered
    both = at(POD_B, POD_FAR)
    world.program([sticky(internalTrafficPolicy="Local", externalTrafficPolicy="Local")], both)
    assert dial(world.pod_a, CLUSTER_IP, 80).server == POD_B
    assert dial(world.pod_a, VIP, 80).server == POD_B  # the same memory


def test_a_client_is_forgotten_when_it_stays_away(world: NftablesWorld) -> None:
    world.program([], [])
    world.program([sticky(1)], at(POD_A, POD_B, POD_FAR))
    world.nft("flush map ip wellhead affinity")
    world.program([sticky(1)], at(POD_A, POD_B, POD_FAR))

    def remembered() -> list[Any]:
        dial(world.outside, VIP, 80, source=CLIENT)
        return world.elements("affinity")  # if that is asked within the second

    assert [each[0]["elem"]["timeout"] for each in until(remembered)] == [1]
    until(lambda: world.elements("affinity") == [])


def test_the_timeout_counts_from_the_last_new_connection(world: NftablesWorld) -> None:
    def left() -> int:
        (remembered,) = (each[0]["elem"] for each in world.elements("affinity", "ip6"))
        seconds: int = remembered["expires"]
        return seconds

    world.program([], [])
    world.program([sticky(100)], at(*ALL_IPV6))
    world.nft("flush map ip6 wellhead affinity")
    world.await_(world.backend.check())
    first = dial(world.outside, VIP6, 80, source=CLIENT6).server

    def renewed() -> bool:
        before = left()
        assert dial(world.outside, VIP6, 80, source=CLIENT6).server == first
        return left() > before

    until(renewed)
