"""Node facts for the tests of the plan."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from wellhead.proxy.symmetric_return.announcement import Announcement, TunnelEnd, announcement
from wellhead.proxy.symmetric_return.nodes import NodeFacts, OnLink, hardware_address_for
from wellhead.proxy.symmetric_return.plan import Way
from wellhead.proxy.symmetric_return.settings import ReturnSettings

SETTINGS = ReturnSettings()


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def end(number: int, **other: int) -> TunnelEnd:
    address = ip_address(f"10.240.0.{10 + number}")
    facts = {"vni": SETTINGS.vni, "port": SETTINGS.port, **other}
    return TunnelEnd(str(address), hardware_address_for(address), **facts)


def node(
    number: int, *, links: bool = True, tunnel: TunnelEnd | None = None, silent: bool = False
) -> NodeFacts:
    addresses = (ip_address(f"10.240.0.{10 + number}"), ip_address(f"fd00:10:240::{10 + number}"))
    pods = (ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:10:244:{number}::/64"))
    said: Announcement | None = announcement(
        {each: mac(number) for each in addresses} if links else {}, tunnel
    )
    return NodeFacts(f"node-{number}", addresses, (), pods, None if silent else said, "")


def on_link(*numbers: int) -> OnLink:
    """These are reached on the link, the others aren't."""
    names = {f"node-{each}" for each in numbers}
    return lambda other: tuple(Way(each, "eth0") for each in other.addresses) if other.name in names else ()
