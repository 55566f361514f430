"""Keeping client addresses, where nftables mode does it in its own way."""

from __future__ import annotations

import pytest

from tests.packets.proxy.backends import by_nftables
from tests.packets.proxy.nftables_world import NftablesWorld
from tests.packets.proxy.test_preserving import preserving, symmetric_return
from tests.packets.proxy.test_source_ip import VIP, at
from tests.packets.proxy.world import CLIENT, POD_FAR, connect

__all__ = ["symmetric_return"]

pytestmark = [pytest.mark.cluster, by_nftables]


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
