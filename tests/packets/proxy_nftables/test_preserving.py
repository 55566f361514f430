"""The ingress part of keeping client addresses, by the tests that iptables mode passes."""

from __future__ import annotations

import pytest

from tests.packets.proxy.test_preserving import (
    preserving,
    symmetric_return,
    test_a_client_outside_keeps_its_address,
    test_a_udp_flow_whose_replies_come_back_no_longer_is_masqueraded,
    test_affinity_holds,
    test_clients_inside_are_masqueraded_as_ever,
    test_clients_of_endpoints_whose_replies_would_not_come_back_are_masqueraded,
    test_ipv6_is_the_same,
    test_policy_local_stays_what_it_is,
    test_source_ranges_hold,
    test_switched_on_and_off_it_is_for_new_connections,
    test_the_rules_are_as_the_kernel_prints_them,
    test_without_the_annotation_clients_are_masqueraded,
)
from tests.packets.proxy.test_source_ip import VIP, at
from tests.packets.proxy.world import CLIENT, POD_FAR, connect
from tests.packets.proxy_nftables.world import NftablesWorld

__all__ = [
    "symmetric_return",
    "test_a_client_outside_keeps_its_address",
    "test_a_udp_flow_whose_replies_come_back_no_longer_is_masqueraded",
    "test_affinity_holds",
    "test_clients_inside_are_masqueraded_as_ever",
    "test_clients_of_endpoints_whose_replies_would_not_come_back_are_masqueraded",
    "test_ipv6_is_the_same",
    "test_policy_local_stays_what_it_is",
    "test_source_ranges_hold",
    "test_switched_on_and_off_it_is_for_new_connections",
    "test_the_rules_are_as_the_kernel_prints_them",
    "test_without_the_annotation_clients_are_masqueraded",
]

pytestmark = pytest.mark.cluster


def test_a_restarted_proxy_changes_nothing_and_breaks_no_flow(world: NftablesWorld) -> None:
    def shown() -> list[str]:
        of = ("map ip wellhead services", "set ip wellhead inside", "set ip wellhead returning")
        return [world.nft(f"list {each}") for each in of]

    world.program([preserving()], at(POD_FAR))
    with connect(world.outside, VIP, 80, source=CLIENT, udp=True) as client:
        assert client.ask().seen == CLIENT
        before = shown()
        world.restart_proxy()
        assert shown() == before
        assert client.ask().seen == CLIENT
