"""nft's data types: how many bytes a value has, and how it is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple


class Type(NamedTuple):
    """A data type of set keys and values, as nft knows it (`nft describe`)."""

    name: str
    number: int
    size: int
    """In bytes. Within a key of several fields each takes up whole 32-bit words."""
    write: Callable[[bytes], str]
    """A value in nft's words."""
    host_order: bool = False
    bits: bool = False
    """A value is a set of named bits: to have one of them is written as if it were to be it."""

    @property
    def padded(self) -> int:
        return (self.size + 3) & ~3

    @property
    def words(self) -> int:
        return self.padded // 4

    def pack(self, value: int) -> bytes:
        """A number as the kernel holds it."""
        return value.to_bytes(self.size, sys.byteorder if self.host_order else "big")


def _host(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


def _decimal(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))


def _mark(value: bytes) -> str:
    return f"0x{_host(value):08x}"


def _classid(value: bytes) -> str:
    """As tc writes handles."""
    number = _host(value)
    if number in (0, 0xFFFFFFFF):
        return "root" if number else "none"
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


def _interface(value: bytes) -> str:
    """What is shorter than an interface's name can be is the beginning of one."""
    name = value.rstrip(b"\0").decode()
    return f'"{name}"' if len(value) == _IFNAMSIZ else f'"{name}*"'


def _one_of(**names: int) -> Callable[[bytes], str]:
    known = {number: name for name, number in names.items()}

    def write(value: bytes) -> str:
        return known.get(_host(value)) or str(_host(value))

    return write


_IFNAMSIZ = 16

INTEGER = Type("integer", 4, 4, lambda value: str(_host(value)), host_order=True)
IPV4_ADDR = Type("ipv4_addr", 7, 4, lambda value: str(ip_address(value)))
IPV6_ADDR = Type("ipv6_addr", 8, 16, lambda value: str(ip_address(value)))
INET_PROTO = Type("inet_proto", 12, 1, _one_of(tcp=6, udp=17, sctp=132))
INET_SERVICE = Type("inet_service", 13, 2, _decimal)
MARK = Type("mark", 19, 4, _mark, host_order=True)
CLASSID = Type("classid", 23, 4, _classid, host_order=True)
IFNAME = Type("ifname", 41, _IFNAMSIZ, _interface, host_order=True)
FIB_ADDRTYPE = Type("fib_addrtype", 44, 4, _one_of(unicast=1, local=2, broadcast=3), host_order=True)
CT_STATE = Type("ct_state", 26, 4, _one_of(invalid=1, established=2, related=4, new=8), True, bits=True)
CT_DIR = Type("ct_dir", 27, 1, lambda value: "reply" if value[0] else "original", host_order=True)
CT_STATUS = Type("ct_status", 28, 4, _one_of(snat=0x10, dnat=0x20), True, bits=True)
ICMPV6_TYPE = Type("icmpv6_type", 29, 1, _decimal)
