"""Decoding what netfilter tells of packets: its trace of rules, and conntrack's news. Pure."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from wellhead.linux import netlink
from wellhead.linux.netlink import Message
from wellhead.trace.sightings import FlowSeen, RuleSeen

NFTRACE_GROUP = 9
CONNTRACK_NEW_GROUP = 1
_TRACE = 10 << 8 | 17  # NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE
_CONNTRACK = 1 << 8
_BODY = 4  # struct nfgenmsg

# NFTA_TRACE_…
_TABLE, _CHAIN, _HANDLE, _VERDICT = 1, 2, 3, 5
_NETWORK, _TRANSPORT, _IIF, _OIF, _MARK, _FAMILY, _POLICY, _FLOW = 8, 9, 10, 12, 14, 15, 16, 18
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2

# CTA_…
_ORIGINAL, _REPLY, _CT_MARK, _CT_ID, _CT_ZONE = 1, 2, 8, 12, 18
_IP, _PROTO = 1, 2
_IP_FIELDS = {1: "source", 2: "destination", 3: "source", 4: "destination"}
_PROTO_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3


def rule_seen(place: str, order: int, message: Message, interfaces: Mapping[int, str]) -> RuleSeen | None:
    """A trace message as a value; None if it is another kind of message."""
    if message.kind != _TRACE:
        return None
    found = netlink.parse(message.body[_BODY:])
    verdict = netlink.parse(found.get(_VERDICT, memoryview(b"")))
    code = verdict.get(_VERDICT_CODE) or found.get(_POLICY)
    return RuleSeen(
        place,
        order,
        family=_number(found.get(_FAMILY)),
        table=_text(found.get(_TABLE)),
        chain=_text(found.get(_CHAIN)),
        handle=_number(found.get(_HANDLE)),
        verdict=int.from_bytes(code, "big", signed=True) if code is not None else 1,
        target=_text(verdict.get(_VERDICT_CHAIN)),
        interface_in=interfaces.get(_number(found.get(_IIF)), ""),
        interface_out=interfaces.get(_number(found.get(_OIF)), ""),
        mark=_number(found.get(_MARK)),
        network=bytes(found.get(_NETWORK, b"")),
        transport=bytes(found.get(_TRANSPORT, b"")),
        flow=_number(found.get(_FLOW)),
    )


def flow_seen(place: str, message: Message) -> FlowSeen | None:
    """A new entry of conntrack as a value; None if it is something else."""
    if message.kind & 0xFF00 != _CONNTRACK:
        return None
    found = netlink.parse(message.body[_BODY:])
    if _ORIGINAL not in found or _REPLY not in found:
        return None
    protocol, source, destination = _tuple(found[_ORIGINAL])
    _, answered_by, answered_to = _tuple(found[_REPLY])
    return FlowSeen(
        place,
        id=_number(found.get(_CT_ID)),
        protocol=protocol,
        source=source,
        destination=destination,
        answered_by=answered_by,
        answered_to=answered_to,
        zone=_number(found.get(_CT_ZONE)),
        mark=_number(found.get(_CT_MARK)),
    )


def _tuple(data: memoryview) -> tuple[int, tuple[str, int], tuple[str, int]]:
    parts = netlink.parse(data)
    ends = {"source": "", "destination": ""}
    for kind, value in netlink.parse(parts[_IP]).items():
        if kind in _IP_FIELDS:
            family = socket.AF_INET if len(value) == 4 else socket.AF_INET6
            ends[_IP_FIELDS[kind]] = socket.inet_ntop(family, value)
    proto = netlink.parse(parts[_PROTO])
    ports = (_number(proto.get(_SOURCE_PORT)), _number(proto.get(_DESTINATION_PORT)))
    return _number(proto.get(_PROTO_NUMBER)), (ends["source"], ports[0]), (ends["destination"], ports[1])


def _number(data: memoryview | None) -> int:
    return int.from_bytes(data, "big") if data is not None else 0


def _text(data: memoryview | None) -> str:
    return netlink.string(data) if data is not None else ""
