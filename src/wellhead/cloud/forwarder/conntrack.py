"""Making the kernel forget flows of one family, so that their next packets are decided anew.

All of these block, and act in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from wellhead.cloud.forwarder.family import Family
from wellhead.cloud.forwarder.tables import Frontend
from wellhead.cloud.vips import IPAddress
from wellhead.linux.numbers import FORWARDER_MARK_MASK, FORWARDER_MARKS

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}

_Dialled = tuple[IPAddress, int, int]  # what a flow was sent to: address, protocol, port

# A dump of one frontend's flows makes the kernel look at all; more than a few are cheaper looked for here.
_FEW = 4


def forget_marks(family: Family, marks: Collection[int]) -> None:
    """Forget the flows that go to the nodes with these marks."""
    with NFCTSocket(nfgen_family=family.af) as conntrack:
        for mark in marks:
            conntrack.flush(mark=mark, mark_mask=0xFFFFFFFF)


def forget_frontends(family: Family, frontends: Collection[Frontend]) -> None:
    """Forget the flows to these frontends."""
    gone = {_dialled(frontend) for frontend in frontends}
    filters: list[NFCTAttrTuple | None] = [None]
    if len(gone) <= _FEW:
        filters = [_only(family, *dialled) for dialled in gone]
    for only in filters:
        _forget(family, only, lambda dialled, _: dialled in gone)


def forget_between(frontend: Frontend, family: Family, mark: int) -> None:
    """Forget the flows from this frontend to the node with this mark."""
    dialled = _dialled(frontend)
    _forget(family, _only(family, *dialled), lambda flow, flow_mark: flow == dialled and flow_mark == mark)


def forget_others(family: Family, frontends: Collection[Frontend], marks: Collection[int]) -> None:
    """Forget the flows that go to a node without one of these marks, or to none of these frontends."""
    known = {_dialled(frontend) for frontend in frontends}
    _forget(family, None, lambda dialled, mark: mark not in marks or dialled not in known)


def _dialled(frontend: Frontend) -> _Dialled:
    return frontend.vip, _PROTOCOLS[frontend.protocol], frontend.port


def _only(family: Family, vip: IPAddress, protocol: int, port: int) -> NFCTAttrTuple:
    # Kernels up to (at least) 6.18 compare IPv6 addresses the wrong way round here: every flow but those.
    address = str(vip) if family.version == 4 else None
    return NFCTAttrTuple(family=family.af, daddr=address, proto=protocol, dport=port)


def _forget(family: Family, only: NFCTAttrTuple | None, condition: Callable[[_Dialled, int], bool]) -> None:
    """Forget the forwarder's flows for which `condition(dialled, mark)`; the kernel filters for `only`."""
    with NFCTSocket(nfgen_family=family.af) as conntrack:
        if only is not None:
            entries = list(conntrack.dump(tuple_orig=only))
        else:
            entries = list(conntrack.dump(mark=FORWARDER_MARKS.start, mark_mask=FORWARDER_MARK_MASK))
        for entry in entries:
            flow = _flow(family, entry)
            if flow is not None and condition(
                (ip_address(flow.daddr), flow.proto, flow.dport), entry.get_attr("CTA_MARK")
            ):
                try:
                    conntrack.entry("del", tuple_orig=flow)
                except NetlinkError as error:
                    if error.code != errno.ENOENT:  # it ended meanwhile
                        raise


def _flow(family: Family, entry: Any) -> NFCTAttrTuple | None:
    """The flow, if it is one of TCP or UDP in this family."""
    flow = entry.get_attr("CTA_TUPLE_ORIG")
    protocol = flow.get_attr("CTA_TUPLE_PROTO").get_attr("CTA_PROTO_NUM")
    if entry["nfgen_family"] != family.af or protocol not in _PROTOCOLS.values():
        return None
    return NFCTAttrTuple.from_netlink(family.af, flow)
