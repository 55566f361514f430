"""Extensions of iptables as expressions: what of a rule iptables-nft itself doesn't say in nftables' own.

An extension gets a structure of iptables' as the kernel's headers have it, padded to 8 bytes.

Sources: linux/netfilter/xt_*.h, linux/netfilter_ipv4/ipt_REJECT.h, linux/netfilter_ipv6/ip6t_REJECT.h,
linux/netfilter/nf_nat.h, linux/netfilter/nf_tables_compat.h.
"""

from __future__ import annotations

import enum
from struct import Struct

from wellhead.ip import Family, Protocol
from wellhead.linux.netlink import attribute, text, u32, u64
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.expressions import Frame, expression

COUNTER = expression("counter", u64(nfta.Counter.BYTES, 0), u64(nfta.Counter.PACKETS, 0))
"""What counts a rule's packets. iptables puts one between the matches and the target of each."""

_COMMENT_SIZE = 256
_WORDS = Struct("=II")
_ADDRESS_TYPES = Struct("=HHI")  # xt_addrtype_info_v1: source, destination, flags
_LOCAL = 1 << 2
_CONNTRACK = Struct("=146xHHHH14x")  # xt_conntrack_mtinfo3: match and invert flags, states, statuses
_CONNTRACK_STATE = 1
_STATISTIC = Struct("=HHIIIxxxxxxxx")  # xt_statistic_info
_RECENT = Struct("=IIBB200sBx16sxxxx")  # xt_recent_mtinfo_v1
_ANY_PORTS = bytes.fromhex("0000ffff 0000ffff 0000000000000000")  # xt_tcp, any flags; xt_udp
_SCTP = Struct("=HH264x12sxxxxI8x")  # xt_sctp_info: destination ports, no chunk's flags, what is looked at
_NO_FLAGS = bytes.fromhex("ff0000") * 4
_DESTINATION = 2
_RANGE = Struct("=I16s16s2s2s8x")  # nf_nat_range2
_MASQUERADE = {Family.IPV4: Struct("=II12xxxxx"), Family.IPV6: Struct("=I36x")}
_FULLY_RANDOM = 0x10
_MAP_ADDRESS_AND_PORT = 3
_PORT_UNREACHABLE = {Family.IPV4: 3, Family.IPV6: 4}  # ipt_reject_with, ip6t_reject_with


class ConnectionState(enum.IntFlag):
    """What of a connection the conntrack match looks at (XT_CONNTRACK_STATE_…)."""

    INVALID = 1
    ESTABLISHED = 2
    RELATED = 4
    NEW = 8
    DNAT = 0x80


def comment(words: str) -> bytes:
    """A comment, of at most 255 bytes."""
    return _COMMENT.around(words.encode().ljust(_COMMENT_SIZE, b"\0"))


def local_address(*, source: bool) -> bytes:
    """Match packets whose source or destination is an address of this machine."""
    return _LOCAL_SOURCE if source else _LOCAL_DESTINATION


def connection(states: ConnectionState, *, inverted: bool = False) -> bytes:
    """Match packets of connections in (or, `inverted`, outside of) some states."""
    info = _CONNTRACK.pack(_CONNTRACK_STATE, _CONNTRACK_STATE * inverted, states, 0)
    return _match("conntrack", 3, info)


def chance(fraction: int) -> bytes:
    """Match one packet in some: `fraction` of 2³¹."""
    return _match("statistic", 0, _STATISTIC.pack(0, 0, fraction, 0, fraction))


def remember(name: str, family: Family) -> bytes:
    """Put a packet's source into a list of recent ones."""
    return _recent(name, family, 0, 2)


def remembered(name: str, family: Family, seconds: int) -> bytes:
    """Match packets whose source came into a list in the last `seconds`; older ones are dropped from it."""
    return _recent(name, family, seconds, 0x21)


def transport(protocol: Protocol) -> bytes:
    """Match a protocol's packets, whatever their ports."""
    return _TRANSPORTS[protocol]


def sctp_port(port: int) -> bytes:
    """Match SCTP packets to a port. Other protocols' ports are a field of the header."""
    return _sctp(port, _DESTINATION)


def mark(bits: int, mask: int) -> bytes:
    """Take `mask` out of a packet's mark, and turn `bits` over."""
    return _target("MARK", 2, _WORDS.pack(bits, mask))


def reject(family: Family) -> bytes:
    """Answer with ICMP or ICMPv6 port unreachable."""
    return _target("REJECT", 0, _WORDS.pack(_PORT_UNREACHABLE[family], 0))


def masquerade(family: Family) -> bytes:
    """Give a packet this machine's address, with a fully random port."""
    if family is Family.IPV4:  # nf_nat_ipv4_multi_range_compat: one range
        return _target("MASQUERADE", 0, _MASQUERADE[family].pack(1, _FULLY_RANDOM))
    return _target("MASQUERADE", 0, _MASQUERADE[family].pack(_FULLY_RANDOM))


def dnat(address: bytes, port: int) -> bytes:
    """Send a packet to an address, of 4 or 16 bytes, and a port."""
    number = port.to_bytes(2, "big")
    return _DNAT.around(_RANGE.pack(_MAP_ADDRESS_AND_PORT, address, address, number, number))


def _sctp(port: int, what: int) -> bytes:
    return _match("sctp", 0, _SCTP.pack(port, port, _NO_FLAGS, what))


def _recent(name: str, family: Family, seconds: int, what: int) -> bytes:
    mask = (b"\xff" * (4 if family is Family.IPV4 else 16)).ljust(16, b"\0")
    return _match("recent", 1, _RECENT.pack(seconds, 0, what, 0, name.encode(), 0, mask))


def _match(name: str, revision: int, info: bytes) -> bytes:
    return expression("match", *_extension(name, revision, info))


def _target(name: str, revision: int, info: bytes) -> bytes:
    return expression("target", *_extension(name, revision, info))


def _extension(name: str, revision: int, info: bytes) -> tuple[bytes, ...]:
    kind = nfta.Extension
    return text(kind.NAME, name), u32(kind.REVISION, revision), attribute(kind.INFO, info)


_COMMENT = Frame(lambda info: _match("comment", 0, info), _COMMENT_SIZE)
_DNAT = Frame(lambda info: _target("DNAT", 2, info), _RANGE.size)
_LOCAL_SOURCE = _match("addrtype", 1, _ADDRESS_TYPES.pack(_LOCAL, 0, 0))
_LOCAL_DESTINATION = _match("addrtype", 1, _ADDRESS_TYPES.pack(0, _LOCAL, 0))
_TRANSPORTS = {
    Protocol.TCP: _match("tcp", 0, _ANY_PORTS),
    Protocol.UDP: _match("udp", 0, _ANY_PORTS),
    Protocol.SCTP: _sctp(0, 0),
}
