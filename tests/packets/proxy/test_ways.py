"""What the kernel's routes and links say about ways to other machines, and when they change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.packets.proxy.world import Host
from tests.patience import PATIENCE
from wellhead.proxy.claims.watch import WaysWatch

pytestmark = pytest.mark.cluster


def test_routes_and_bridges_are_followed(host: Host) -> None:
    def becomes(watch: WaysWatch, wanted: tuple[list[str], list[str]]) -> bool:
        return ([str(each) for each in watch.ways.routed], [*watch.ways.bridges]) == wanted

    async def work() -> None:
        changed = asyncio.Event()
        watch = WaysWatch(changed.set)

        async def until(routed: list[str], bridges: list[str]) -> None:
            async with asyncio.timeout(PATIENCE):
                while not becomes(watch, (routed, bridges)):
                    await changed.wait()
                    changed.clear()

        async def do(*commands: str) -> None:
            await asyncio.to_thread(lambda: host.ip(*commands))

        task = asyncio.create_task(watch.run(3600))
        try:
            await watch.known()
            await until(["10.244.2.0/24", "fd00:10:244:2::/64"], [])
            await do("route add 10.244.3.0/24 via 10.240.0.13")
            await until(["10.244.2.0/23", "fd00:10:244:2::/64"], [])
            await do("link add br0 type bridge", "link set br0 up", "addr add 10.244.3.129/25 dev br0")
            await until(["10.244.2.0/24", "10.244.3.0/25", "fd00:10:244:2::/64"], ["br0"])
            await do("link del br0", "route del fd00:10:244:2::/64")
            await until(["10.244.2.0/23"], [])
            await do("link set eth0 down")
            await until([], [])
        finally:
            task.cancel()

    host.ip(
        "link add eth0 type veth peer name other",
        "addr add 10.240.0.11/24 dev eth0",
        "addr add fd00:10:240::11/64 dev eth0 nodad",
        "link set eth0 up",
        "link set other up",
        "route add 10.244.2.0/24 via 10.240.0.12",
        "route add fd00:10:244:2::/64 via fd00:10:240::12",
    )
    if Path("/proc/sys/net/bridge").exists():
        host.sysctl("net/bridge/bridge-nf-call-iptables", "0")
    host.await_(work())
