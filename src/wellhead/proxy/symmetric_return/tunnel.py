"""The VXLAN device between nodes that share no link.

Nothing is learnt and nothing flooded: each peer's hardware address has a forwarding entry for its node, and
its addresses have permanent neighbour entries.
"""

from __future__ import annotations

import errno
import logging
import socket
from ipaddress import ip_address
from typing import Any, NamedTuple

from wellhead.ip import Family
from wellhead.linux import pyroute2
from wellhead.linux.numbers import TUNNEL_DEVICE
from wellhead.proxy.symmetric_return.plan import Tunnel

log = logging.getLogger(__name__)

_PERMANENT = 0x80
_SELF = 0x2
_ABSENT = {errno.ENOENT, errno.ESRCH, errno.ENODEV}


class Neighbour(NamedTuple):
    """An entry that says where something is: an address's hardware address, or that one's tunnel end."""

    family: int
    address: str
    hardware_address: str


def ensure_device(ip: Any, tunnel: Tunnel) -> tuple[int, bool]:
    """Have the device as described, whatever its peers. Returns its index, and whether it had to be made.

    Raises:
        NetlinkError: the kernel has no VXLAN, say, or this may not do so.
    """
    index = _device(ip, tunnel)
    return (_make(ip, tunnel), True) if index is None else (index, False)


def ensure(ip: Any, tunnel: Tunnel) -> bool:
    """Have the device as described, with exactly these peers. Returns whether anything had to be changed.

    Raises:
        NetlinkError: as above.
    """
    index, made = ensure_device(ip, tunnel)
    return _set_neighbours(ip, index, tunnel) or made


def remove(ip: Any) -> bool:
    """Remove the device. Returns whether there was one."""
    for index in ip.link_lookup(ifname=TUNNEL_DEVICE):
        ip.link("del", index=index)
        return True
    return False


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


def _set_neighbours(ip: Any, index: int, tunnel: Tunnel) -> bool:
    wanted = set()
    for peer in tunnel.peers:
        wanted.add(Neighbour(socket.AF_BRIDGE, str(peer.end), peer.hardware_address))
        for address in peer.addresses:
            family = Family(address.version).number
            wanted.add(Neighbour(family, str(address), peer.hardware_address))
    held = _neighbours(ip, index)
    for each in held - wanted:
        try:
            _change(ip, "del", index, each)
        except pyroute2.NetlinkError as error:
            if error.code not in _ABSENT:
                raise
    for each in wanted - held:
        _change(ip, "replace", index, each)
    return held != wanted


def _change(ip: Any, command: str, index: int, entry: Neighbour) -> None:
    if entry.family == socket.AF_BRIDGE:
        ip.fdb(
            "del" if command == "del" else "append",
            ifindex=index,
            lladdr=entry.hardware_address,
            dst=entry.address,
            flags=_SELF,
            state=_PERMANENT,
        )
    else:
        ip.neigh(
            command,
            family=entry.family,
            ifindex=index,
            dst=entry.address,
            lladdr=entry.hardware_address,
            state=_PERMANENT,
        )


def _neighbours(ip: Any, index: int) -> set[Neighbour]:
    found = set()
    for family in (socket.AF_BRIDGE, *(each.number for each in Family)):
        for each in ip.get_neighbours(family, ifindex=index):
            address, hardware_address = each.get("dst"), each.get("lladdr")
            permanent = each["state"] & _PERMANENT
            if each["ifindex"] == index and permanent and address and hardware_address:
                found.add(Neighbour(family, str(ip_address(address)), hardware_address))
    return found
