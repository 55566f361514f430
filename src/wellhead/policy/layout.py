"""The sets and maps of a table, and how their keys are encoded.

The address at the other end of a pod's packet leads to its *class*'s number (`peers`, `blocks`). That number,
the pod's address and what is dialled are the key of the sets that say what is allowed. Between look-ups a
number travels in the packet's priority, the one word of a forwarded packet that nobody needs any more: IPv4
has just set it from the TOS field, and it is 0 for most packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.linux import numbers
from wellhead.linux.nftables import types
from wellhead.linux.nftables.intervals import interval
from wellhead.linux.nftables.objects import COMMENT_LENGTH, Element, ElementKey, Set, SetFlag, Table
from wellhead.policies.blocks import Stretch
from wellhead.policies.cluster_policy import Action, Tier
from wellhead.policies.policy import Direction

KNOWN, POD_NETWORKS = numbers.PolicySet.KNOWN_PODS, numbers.PolicySet.POD_NETWORKS
ITSELF = "itself"
"""A pod's address twice: what it sends to itself passes."""
PEERS = "peers"
BLOCKS = "blocks"
CLUSTER_PEERS = "cluster-peers"
CLUSTER_BLOCKS = "cluster-blocks"
"""As `peers` and `blocks`, of ClusterNetworkPolicies."""
WITH_PORTS = "with-ports"
"""The protocols that have ports."""
NEIGHBOUR_DISCOVERY = "neighbour-discovery"

_ICMPV6 = 58
_NEIGHBOUR_DISCOVERY = range(133, 138)
"""ICMPv6 types (RFC 4861)."""

EVERYONE = 1
"""The number of the class that every address is of."""


def isolated(direction: Direction) -> str:
    """The set of pods that policies of a direction select."""
    return f"isolated-{direction.lower()}"


def all_traffic(direction: Direction) -> str:
    """Class and pod: everything is allowed."""
    return f"{direction.lower()}-all"


def ports(direction: Direction) -> str:
    """Class, pod, protocol and port."""
    return f"{direction.lower()}-ports"


def port_ranges(direction: Direction) -> str:
    """The same, of several ports."""
    return f"{direction.lower()}-port-ranges"


class Ruled(NamedTuple):
    """What a tier of ClusterNetworkPolicies may say of a direction's packets, and the sets that say it."""

    direction: Direction
    tier: Tier
    action: Action

    @property
    def prefix(self) -> str:
        return f"{self.direction}-{self.tier}-{self.action}".lower()

    @property
    def all(self) -> str:
        """Class and pod: everything."""
        return f"{self.prefix}-all"

    @property
    def ports(self) -> str:
        """Class, pod, protocol and ports."""
        return f"{self.prefix}-ports"

    @property
    def other(self) -> str:
        """Class and pod: protocols without ports."""
        return f"{self.prefix}-other"


def judged(direction: Direction, tier: Tier) -> str:
    """The set of pods that a tier's rules of a direction are about."""
    return f"{direction}-{tier}".lower()


RULED = tuple(
    Ruled(direction, tier, action)
    for direction in Direction
    for tier, action in ((Tier.ADMIN, Action.ACCEPT), (Tier.ADMIN, Action.DENY), (Tier.BASELINE, Action.DENY))
)
"""What the Baseline tier accepts passes as what nobody decides."""


def table(family: Family) -> Table:
    return _TABLES[family]


def _table(family: Family) -> Table:
    address = types.IPV4_ADDR if family is Family.IPV4 else types.IPV6_ADDR
    number, dialled = types.CLASSID, (types.INET_PROTO, types.INET_SERVICE)
    found = [
        Set(KNOWN, (address,)),
        Set(POD_NETWORKS, (address,), flags=SetFlag.INTERVAL),
        Set(ITSELF, (address, address)),
        Set(PEERS, (address,), (number,)),
        Set(BLOCKS, (address,), (number,), SetFlag.INTERVAL),
    ]
    found += (
        Set(CLUSTER_PEERS, (address,), (number,)),
        Set(CLUSTER_BLOCKS, (address,), (number,), SetFlag.INTERVAL),
        Set(WITH_PORTS, (types.INET_PROTO,)),
    )
    if family is Family.IPV6:
        found.append(Set(NEIGHBOUR_DISCOVERY, (types.INET_PROTO, types.ICMPV6_TYPE)))
    for direction in Direction:
        found += (
            Set(isolated(direction), (address,)),
            Set(all_traffic(direction), (number, address)),
            Set(ports(direction), (number, address, *dialled)),
            Set(port_ranges(direction), (number, address, *dialled), flags=SetFlag.INTERVAL),
        )
        found += (Set(judged(direction, tier), (address,)) for tier in Tier)
    for each in RULED:
        found += (
            Set(each.all, (number, address)),
            Set(each.ports, (number, address, *dialled), flags=SetFlag.INTERVAL),
            Set(each.other, (number, address)),
        )
    return Table(family, numbers.Table.POLICY, tuple(found), owned=True)


_TABLES = {family: _table(family) for family in Family}


def number_of(text: str, taken: Iterable[int]) -> int:
    """A class's number, by what is the same for it in any process: one that restarts finds it in the kernel.

    Raises:
        ValueError: all are taken.
    """
    first = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    classes = numbers.POLICY_CLASSES
    for step in range(len(classes)):
        number = classes[(first + step) % len(classes)]
        if number not in taken:
            return number
    raise ValueError("no number is left")


def word(number: int) -> bytes:
    """As the kernel holds a number."""
    return types.CLASSID.pack(number)


def known(address: IPAddress, name: str) -> Element:
    return Element(ElementKey(KNOWN, address.packed), None, name[:COMMENT_LENGTH])


def itself(address: IPAddress) -> Element:
    return Element(ElementKey(ITSELF, address.packed * 2))


def isolation(direction: Direction, address: IPAddress) -> Element:
    return Element(ElementKey(isolated(direction), address.packed))


def peer(address: IPAddress, number: int, name: str = PEERS) -> Element:
    return Element(ElementKey(name, address.packed), word(number))


def with_ports() -> Iterator[Element]:
    return (Element(ElementKey(WITH_PORTS, bytes((each.number,)))) for each in Protocol)


def judgement(direction: Direction, tier: Tier, address: IPAddress) -> Element:
    return Element(ElementKey(judged(direction, tier), address.packed))


def member(name: str, number: int, address: IPAddress) -> Element:
    """Of a set of classes and pods."""
    return Element(ElementKey(name, word(number) + address.packed))


def neighbour_discovery() -> Iterator[Element]:
    for each in _NEIGHBOUR_DISCOVERY:
        yield Element(ElementKey(NEIGHBOUR_DISCOVERY, bytes((_ICMPV6, 0, 0, 0, each, 0, 0, 0))))


def stretch(found: Stretch, number: int, name: str = BLOCKS) -> Iterator[Element]:
    return interval(name, found.first, found.last, word(number))


def everything(direction: Direction, number: int, address: IPAddress) -> Element:
    return member(all_traffic(direction), number, address)


def port(direction: Direction, number: int, address: IPAddress, protocol: Protocol, port: int) -> Element:
    key = word(number) + address.packed + _dialled(protocol, port)
    return Element(ElementKey(ports(direction), key))


def port_range(
    name: str, number: int, address: IPAddress, protocol: Protocol, first: int, last: int
) -> Element:
    """Of a set of ranges of ports."""
    # In interval sets of several fields, numbers are in network order.
    prefix = number.to_bytes(4, "big") + address.packed
    start, end = prefix + _dialled(protocol, first), prefix + _dialled(protocol, last)
    return Element(ElementKey(name, start, end))


def _dialled(protocol: Protocol, port: int) -> bytes:
    return bytes((protocol.number, 0, 0, 0)) + port.to_bytes(2, "big") + bytes(2)
