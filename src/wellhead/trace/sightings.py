"""What an observer saw, as values that can be sent: a packet on an interface, a rule that it met, a flow.

Pure. The kernel's numbers: linux/netfilter/nf_tables.h (NFTA_TRACE_…), linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import msgspec


class Seen(msgspec.Struct, frozen=True, tag=True):
    """The base: where it was."""

    place: str
    """The name of a network namespace: `client`, `node-1`, `pod shop/web-0`."""


class PacketSeen(Seen, frozen=True, tag="packet"):
    """A frame at an interface."""

    time: int
    """In nanoseconds; one clock for all places of a machine."""
    interface: str
    outgoing: bool
    frame: bytes


class RuleSeen(Seen, frozen=True, tag="rule"):
    """One message of the kernel's trace: a rule that matched, or the end of a chain with hooks."""

    order: int
    """Messages of a place come in order."""
    family: int
    """NFPROTO_…: 1 is inet, 2 IPv4, 10 IPv6."""
    table: str
    chain: str
    handle: int
    """Of the rule; 0 for the chain's policy."""
    verdict: int
    """0 drop, 1 accept, -1 continue, -3 jump, -4 goto, -5 return."""
    target: str = ""
    """The chain that is jumped to."""
    interface_in: str = ""
    interface_out: str = ""
    mark: int = 0
    network: bytes = b""
    transport: bytes = b""
    """The packet's headers as the chain saw them; only in the first message of a chain with a hook."""
    flow: int = 0
    """conntrack's id, on kernels that say it."""
    legacy: str = ""
    """Of iptables-legacy, whose rules have no handles: `nat:PREROUTING:rule:1`."""


class FlowSeen(Seen, frozen=True, tag="flow"):
    """A connection that conntrack began to remember, by both of its tuples."""

    id: int
    protocol: int
    source: tuple[str, int]
    destination: tuple[str, int]
    answered_by: tuple[str, int]
    answered_to: tuple[str, int]
    zone: int = 0
    mark: int = 0


class CountSeen(Seen, frozen=True, tag="count"):
    """A counter of the kernel that grew meanwhile, and counts packets that are thrown away."""

    counter: str
    """`IPReversePathFilter`, `InNoRoutes`."""
    times: int


class Lost(Seen, frozen=True, tag="lost"):
    """There was more to see than room for it."""

    what: str


Sighting = PacketSeen | RuleSeen | FlowSeen | CountSeen | Lost
