"""Making the kernel forget flows, so that their next packets are decided anew.

All of these block, and act in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from wellhead.cloud.forwarder.tables import MARK_TAG, MARK_TAG_MASK, Frontend

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_NAMES = {number: name for name, number in _PROTOCOLS.items()}


def forget_marks(marks: Iterable[int]) -> None:
    """Forget the flows that go to the nodes with these marks."""
    with NFCTSocket() as conntrack:
        for mark in marks:
            conntrack.flush(mark=mark, mark_mask=0xFFFFFFFF)


def forget_frontends(frontends: Iterable[Frontend]) -> None:
    """Forget the flows to these frontends. The kernel finds them (since 5.8), not a dump of all flows."""
    with NFCTSocket() as conntrack:
        for frontend in frontends:
            wanted = NFCTAttrTuple(
                daddr=str(frontend.vip), proto=_PROTOCOLS[frontend.protocol], dport=frontend.port
            )
            for entry in list(conntrack.dump(tuple_orig=wanted)):
                flow = NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr("CTA_TUPLE_ORIG"))
                if wanted == flow:  # an older kernel doesn't filter
                    _forget(conntrack, flow)


def forget_others(frontends: Collection[Frontend], marks: Collection[int]) -> None:
    """Forget the flows that go to a node without one of these marks, or to none of these frontends."""
    known = {(str(each.vip), each.protocol, each.port) for each in frontends}
    with NFCTSocket() as conntrack:
        for entry in list(conntrack.dump(mark=MARK_TAG, mark_mask=MARK_TAG_MASK)):
            flow = NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr("CTA_TUPLE_ORIG"))
            frontend = (flow.daddr, _NAMES.get(flow.proto, ""), flow.dport)
            if entry.get_attr("CTA_MARK") not in marks or frontend not in known:
                _forget(conntrack, flow)


def _forget(conntrack: NFCTSocket, flow: NFCTAttrTuple) -> None:
    try:
        conntrack.entry("del", tuple_orig=flow)
    except NetlinkError as error:
        if error.code != errno.ENOENT:  # it ended meanwhile
            raise
