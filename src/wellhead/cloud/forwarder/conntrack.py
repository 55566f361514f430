"""Making the kernel forget flows, so that their next packets are decided anew.

All of these block, and act in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from wellhead.cloud.forwarder.tables import MARK_TAG, MARK_TAG_MASK, Frontend

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}

_Dialled = tuple[str, int, int]  # what a flow was sent to: address, protocol, port

# A dump of one frontend's flows makes the kernel look at all; more than a few are cheaper looked for here.
_FEW = 4


def forget_marks(marks: Collection[int]) -> None:
    """Forget the flows that go to the nodes with these marks."""
    with NFCTSocket() as conntrack:
        for mark in marks:
            conntrack.flush(mark=mark, mark_mask=0xFFFFFFFF)


def forget_frontends(frontends: Collection[Frontend]) -> None:
    """Forget the flows to these frontends."""
    gone = {_dialled(frontend) for frontend in frontends}
    filters: list[NFCTAttrTuple | None] = [None]
    if len(gone) <= _FEW:
        filters = [NFCTAttrTuple(daddr=vip, proto=protocol, dport=port) for vip, protocol, port in gone]
    for only in filters:
        _forget(only, lambda dialled, _: dialled in gone)


def forget_between(frontend: Frontend, mark: int) -> None:
    """Forget the flows from this frontend to the node with this mark."""
    vip, protocol, port = dialled = _dialled(frontend)
    only = NFCTAttrTuple(daddr=vip, proto=protocol, dport=port)
    _forget(only, lambda flow, flow_mark: flow == dialled and flow_mark == mark)


def forget_others(frontends: Collection[Frontend], marks: Collection[int]) -> None:
    """Forget the flows that go to a node without one of these marks, or to none of these frontends."""
    known = {_dialled(frontend) for frontend in frontends}
    _forget(None, lambda dialled, mark: mark not in marks or dialled not in known)


def _dialled(frontend: Frontend) -> _Dialled:
    return str(frontend.vip), _PROTOCOLS[frontend.protocol], frontend.port


def _forget(only: NFCTAttrTuple | None, condition: Callable[[_Dialled, int], bool]) -> None:
    """Forget the forwarder's flows for which `condition(dialled, mark)`; the kernel filters for `only`."""
    with NFCTSocket() as conntrack:
        if only is not None:
            entries = list(conntrack.dump(tuple_orig=only))
        else:
            entries = list(conntrack.dump(mark=MARK_TAG, mark_mask=MARK_TAG_MASK))
        for entry in entries:
            flow = NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr("CTA_TUPLE_ORIG"))
            if condition((flow.daddr, flow.proto, flow.dport), entry.get_attr("CTA_MARK")):
                try:
                    conntrack.entry("del", tuple_orig=flow)
                except NetlinkError as error:
                    if error.code != errno.ENOENT:  # it ended meanwhile
                        raise
