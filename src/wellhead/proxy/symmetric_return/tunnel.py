"""The VXLAN device between nodes that share no link.

Nothing is learnt and nothing flooded: each peer's hardware address has a forwarding entry for its node, and
its addresses have permanent neighbour entries.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import Any, Literal, NamedTuple

from wellhead.ip import Family, IPAddress
from wellhead.linux import pyroute2, rtnetlink
from wellhead.linux.numbers import TUNNEL_DEVICE
from wellhead.linux.rtnetlink import Request, Requests
from wellhead.proxy.symmetric_return.plan import Tunnel

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """Says where something is."""

    what: Literal["neighbour", "forwarding"]
    """An address's hardware address; or, of that one, which end of the tunnel it is behind."""
    address: IPAddress
    hardware_address: str


def ensure_device(tunnel: Tunnel) -> tuple[int, bool]:
    """Have the device as described, whatever its peers. Returns its index, and whether it had to be made.

    Raises:
        NetlinkError: the kernel has no VXLAN, say, or this may not do so.
    """
    with pyroute2.IPRoute() as ip:
        index = _device(ip, tunnel)
        return (_make(ip, tunnel), True) if index is None else (index, False)


def ensure(asker: Requests, tunnel: Tunnel) -> bool:
    """Have the device as described, with exactly these peers. Returns whether anything had to be changed.

    Raises:
        NetlinkError: as above. OSError: an entry is refused.
    """
    index, made = ensure_device(tunnel)
    return _set_neighbours(asker, index, tunnel) or made


def remove() -> bool:
    """Remove the device. Returns whether there was one."""
    with Requests() as asker:
        if asker.index(TUNNEL_DEVICE) is None:
            return False
        asker.make(rtnetlink.delete_link(TUNNEL_DEVICE))
        return True


def _device(ip: Any, tunnel: Tunnel) -> int | None:
    """The device's index; None if there is none. One that is otherwise is removed."""
    for index in ip.link_lookup(ifname=TUNNEL_DEVICE):
        [link] = ip.get_links(index)
        info = link.get("linkinfo")
        data = info.get("data") if info is not None and info.get("kind") == "vxlan" else None
        local = None
        if data is not None:
            local = data.get("vxlan_local") or data.get("vxlan_local6")
        if (
            data is not None
            and link.get("address") == tunnel.hardware_address
            and link.get("mtu") == tunnel.mtu
            and link["flags"] & 1
            and (data.get("vxlan_id"), data.get("vxlan_port")) == (tunnel.vni, tunnel.port)
            and local is not None
            and ip_address(local) == tunnel.local
        ):
            return int(index)
        log.info("replacing %s, which is not as wanted", TUNNEL_DEVICE)
        ip.link("del", index=index)
    return None


def _make(ip: Any, tunnel: Tunnel) -> int:
    ip.link(
        "add",
        ifname=TUNNEL_DEVICE,
        kind="vxlan",
        address=tunnel.hardware_address,
        vxlan_id=tunnel.vni,
        vxlan_port=tunnel.port,
        vxlan_learning=False,
        **{"vxlan_local" if tunnel.local.version == 4 else "vxlan_local6": str(tunnel.local)},
    )
    [index] = ip.link_lookup(ifname=TUNNEL_DEVICE)
    ip.link("set", index=index, mtu=tunnel.mtu, state="up")
    log.info("made %s: VXLAN %d, UDP port %d, MTU %d", TUNNEL_DEVICE, tunnel.vni, tunnel.port, tunnel.mtu)
    return int(index)


def _set_neighbours(asker: Requests, index: int, tunnel: Tunnel) -> bool:
    wanted: set[Entry] = set()
    for peer in tunnel.peers:
        wanted.add(Entry("forwarding", peer.end, peer.hardware_address))
        wanted |= {Entry("neighbour", each, peer.hardware_address) for each in peer.addresses}
    held = _held(asker, index)
    old, new = held - wanted, wanted - held
    asker.make(*(_delete(index, each) for each in old), *(_put(index, each) for each in new))
    return held != wanted


def _put(index: int, entry: Entry) -> Request:
    put = rtnetlink.add_forwarding if entry.what == "forwarding" else rtnetlink.put_neighbour
    return put(index, entry.address, entry.hardware_address)


def _delete(index: int, entry: Entry) -> Request:
    if entry.what == "forwarding":
        return rtnetlink.delete_forwarding(index, entry.address, entry.hardware_address)
    return rtnetlink.delete_neighbour(index, entry.address)


def _held(asker: Requests, index: int) -> set[Entry]:
    found = {Entry("forwarding", *each) for each in rtnetlink.forwardings(asker, index)}
    for family in Family:
        found |= {Entry("neighbour", *each) for each in rtnetlink.permanent_neighbours(asker, index, family)}
    return found
