"""Every number and name that wellhead shares with others on a machine, and whose it is.

A machine may be a node, a speaker of VIPs and a router all at once, beside a pod network and a firewall that
know nothing of us. What the kernel gives everybody only one of is therefore chosen here and nowhere else; no
two of ours overlap (a test holds both). `docs/architecture.md` draws where a packet meets them.
"""

from __future__ import annotations

import enum
from typing import Final

# ---- bits of packet and connection marks

MASQUERADE_MARK: Final = 1 << 14
"""Packets to masquerade: kube-proxy's own default, which people's firewalls know. Configurable, as there."""

RETURN_MARKS: Final = 0x3FFF0000
"""The symmetric return's: two flags, and a number for each peer. Configurable."""

FORWARDER_MARKS: Final = range(0x40000000, 0x40004000)
"""The forwarder's: the first stands for the machine itself, each other one for a node. Whole marks."""

FORWARDER_MARK_MASK: Final = 0xFFFFC000
"""The bits that all of them share."""

# ---- packets' priority, for which forwarding has its own idea again

SERVICE_PORTS: Final = range(1 << 18, 1 << 32)
"""The proxy's, between PREROUTING and POSTROUTING: a Service port each, and what comes next for it."""

POLICY_CLASSES: Final = range(1 << 16, 0xFFFF0000)
"""Of the other end, for policies, in FORWARD alone. Lower ones, for both, an application may have chosen."""

# ---- conntrack

RETURN_ZONES: Final = range(0x5701, 0x6700)
"""A zone for each peer, in the original direction."""

FORWARDER_ZONE: Final = 0x5700
"""For forwarded connections that conntrack would take for earlier ones of the machine's own."""

# ---- routing

FORWARDER_TABLES: Final = FORWARDER_MARKS
"""A table for each node, of its mark's number; the first has the way of the machine's own packets."""

RETURN_TABLES: Final = range(0x57480001, 0x57481000)
"""A table for each peer."""

RETURN_CHECK_TABLES: Final = range(0x57488001, 0x57488003)
"""By tunnel, by link: where IPv4's reverse-path check looks packets of peers up."""


class RouteOwner(enum.IntEnum):
    """Who made a route or a rule (rtm_protocol, FRA_PROTOCOL). None of these is in iproute2's list."""

    NODE = 87
    """The node agent's: routes to other nodes' pods."""
    RETURN = 88
    """The symmetric return's."""
    FORWARDER = 89
    """The forwarder's."""
    VIPS = 90
    """The terminating proxy's: local routes for the VIPs that it answers."""


class RulePriority(enum.IntEnum):
    """Routing rules: after the local table's (0), before the main table's (32766)."""

    RETURN_PAST = 87
    RETURN_CHECK = 88
    RETURN_PEER = 89
    """The return's come before those of a pod network that chooses routes by the pod's address."""
    RETURN_END = 90
    FORWARDER = 1000
    FORWARDER_END = 1001
    """What is left of packets to VIPs goes nowhere."""


# ---- nftables


class Table(enum.StrEnum):
    """Our tables in nftables."""

    PROXY = "wellhead"
    """Of the families ip and ip6, as all but the next."""
    CLAIMS = "wellhead-claims"
    """The proxy's in iptables mode, where it has no other."""
    RETURN = "wellhead-return"
    """Of the family inet."""
    FORWARDER = "wellhead-forwarder"
    NODE = "wellhead-node"
    POLICY = "wellhead-policy"
    TRACE = "wellhead-trace"
    """Of the family inet, and only as long as somebody traces."""
    EDGE = "wellhead-edge"
    """The lab's router's own, on its machine `edge`."""


class PolicySet(enum.StrEnum):
    """Sets of addresses in the policies' table by which others see what it lets through."""

    POD_NETWORKS = "pod-networks"
    """Where the node's pods have their addresses: one that isn't known gets and sends nothing."""
    KNOWN_PODS = "known-pods"
    """The node's pods of which it is known what is allowed to them."""


class HookPriority(enum.IntEnum):
    """Where our base chains stand among those of a hook: lower ones first.

    Netfilter's own: raw -300, connection tracking -200, mangle -150, dstnat -100, filter 0, srcnat 100.
    """

    TRACE_FIRST = -500
    NODE_SOURCES = -310
    """What a pod sends with another's address goes no further."""
    FORWARDER_RAW = -300
    RETURN_RAW = -299
    """Both before connection tracking: the one leaves packets untracked, the other gives them zones."""
    FORWARDER_MANGLE = -150
    RETURN_MANGLE = -149
    FORWARDER_UNDECIDED = -110
    """Before any service proxy: what is for other nodes is not to be translated here."""
    PROXY_DSTNAT = -100
    """kube-proxy's too."""
    RETURN_BEHIND_DSTNAT = -99
    NODE_DSTNAT = -90
    """Host ports come after Services."""
    PROXY_FILTER = 0
    POLICY_EGRESS = 10
    POLICY_INGRESS = 11
    """After others' filters: what they drop needs no judgement. Two chains, since to accept ends only one."""
    RETURN_CLAIMS = 98
    PROXY_CLAIMS = 99
    """Strictly before everybody's masquerading: of two at one priority the one that was made last decides."""
    PROXY_SRCNAT = 100
    RETURN_SRCNAT = 101
    NODE_SRCNAT = 110
    """Pods' masquerading: after the service proxy's."""
    RETURN_LAST = 300
    TRACE_LAST = 500


# ---- links

TUNNEL_DEVICE: Final = "wellhead-vxlan"
TUNNEL_VNI: Final = 7687
TUNNEL_PORT: Final = 4799
"""The UDP port of the tunnel's ends: not VXLAN's own, which a pod network may use. Configurable."""

POD_LINK_PREFIX: Final = "veth"
"""Of a node's ends of its pods' links: `veth` and eight hexadecimal digits."""

POD_LINK_GROUP: Final = 0x57
"""The interface group of those links: by it the node's rules know what pods send."""
