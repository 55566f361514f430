"""The kernel's news of what others change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.packets.proxy.world import Host
from wellhead.proxy.symmetric_return.monitor import watching

pytestmark = pytest.mark.cluster

_TABLE = "table inet wellhead-return"


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host()
    found.run(f"nft add {_TABLE}")
    try:
        yield found
    finally:
        found.close()


def news_of(host: Host, command: str) -> list[str]:
    """What is called back while a command of somebody's runs."""

    async def listen() -> list[str]:
        called: list[str] = []
        with watching(lambda: called.append("routing"), lambda: called.append("table")) as listen:
            listen(("lo",))
            called.clear()
            process = await asyncio.create_subprocess_exec(*command.split())
            assert await process.wait() == 0
            # Told before the command ended, it is in our sockets: the loop has only to look.
            for _ in range(3):
                await asyncio.sleep(0)
        return sorted(set(called))

    return host.await_(listen())


_CONF = "/proc/sys/net/ipv4/conf"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"nft delete {_TABLE}", ["table"]),
        ("nft add chain inet wellhead-return more", ["table"]),
        ("nft add table inet others", []),
        ("ip rule add pref 99 lookup 99", ["routing"]),
        ("ip -6 rule add pref 99 lookup 99", ["routing"]),
        ("ip route add 192.0.2.9 dev lo", ["routing"]),
        ("ip -6 route add 2001:db8::9 dev lo", ["routing"]),
        ("ip link add others type veth", ["routing"]),
        ("ip link set lo down", ["routing"]),
        (f"cp {_CONF}/lo/forwarding {_CONF}/lo/src_valid_mark", ["routing"]),
        (f"cp {_CONF}/lo/forwarding {_CONF}/all/src_valid_mark", ["routing"]),
        (f"cp {_CONF}/lo/forwarding {_CONF}/default/src_valid_mark", []),
    ],
)
def test_changes_by_others_are_noticed(host: Host, command: str, expected: list[str]) -> None:
    assert news_of(host, command) == expected
