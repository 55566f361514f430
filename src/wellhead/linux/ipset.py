"""The kernel's sets of addresses that iptables' rules ask (ipset): what is in them. These block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from ipaddress import ip_network
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, unpacked
from wellhead.linux.netlink import NETFILTER, NetlinkError, Socket, parse, parse_list, string, text

_SUBSYSTEM = 6  # NFNL_SUBSYS_IPSET
_LIST = 7  # IPSET_CMD_LIST
_PROTOCOL = b"\x05\0\1\0\6\0\0\0"  # IPSET_ATTR_PROTOCOL, a byte: 6, which kernels of all ages speak
_SET_NAME, _TYPE_NAME, _DATA, _ELEMENTS = 2, 3, 7, 8
_IP, _LENGTH, _IP_TO, _FLAGS = 1, 3, 2, 8
_NO_MATCH = 4  # IPSET_FLAG_NOMATCH
_OF_ADDRESSES = ("hash:ip", "hash:net", "bitmap:ip")
"""Types whose elements are addresses and nothing else."""

Ends = tuple[IPAddress, IPAddress]


class AddressSet(NamedTuple):
    """A set's content."""

    name: str
    ends: tuple[Ends, ...]
    """The first and the last of each of its ranges."""


def address_sets(names: Iterable[str]) -> list[AddressSet]:
    """The sets of these names that are sets of addresses. Without any ipset in the kernel there are none."""
    found = []
    with contextlib.suppress(OSError), Socket(NETFILTER) as socket:
        for name in names:
            with contextlib.suppress(NetlinkError):
                ends = _read(socket, name)
                if ends is not None:
                    found.append(AddressSet(name, tuple(ends)))
    return found


def _read(socket: Socket, name: str) -> list[Ends] | None:
    body = bytes((Family.IPV4.number, 0, 0, 0)) + _PROTOCOL + text(_SET_NAME, name)
    ends: list[Ends] = []
    known = False
    for message in list(socket.dump(_SUBSYSTEM << 8 | _LIST, body)):
        attributes = parse(message.body[4:])
        if _TYPE_NAME in attributes:
            known = string(attributes[_TYPE_NAME]) in _OF_ADDRESSES
        for _, each in parse_list(attributes.get(_ELEMENTS, memoryview(b""))):
            element = _element(each)
            known = known and element is not None
            ends += [element] if element is not None else []
    return ends if known else None


def _element(data: memoryview) -> Ends | None:
    found = parse(data)
    if _IP not in found or int.from_bytes(found.get(_FLAGS, b""), "big") & _NO_MATCH:
        return None
    first = _address(found[_IP])
    if _IP_TO in found:
        return first, _address(found[_IP_TO])
    length = found[_LENGTH][0] if _LENGTH in found else first.max_prefixlen
    network = ip_network((first, length), strict=False)
    return network[0], network[-1]


def _address(data: memoryview) -> IPAddress:
    [(_, packed)] = parse_list(data)
    return unpacked(bytes(packed))
