"""NetworkPolicies as values.

Source: the networking.k8s.io/v1 API text; KEP-2079 for ranges of ports.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network

from wellhead.api.errors import BadRequest
from wellhead.api.meta import Obj
from wellhead.api.selectors import LabelSelector
from wellhead.ip import IPAddress, IPNetwork, Protocol, parse_protocol

HIGHEST_PORT = 65535


class Direction(enum.StrEnum):
    """Which of a pod's traffic, as policyTypes spells it."""

    INGRESS = "Ingress"
    EGRESS = "Egress"


@dataclass(frozen=True)
class Selection:
    """Pods by labels, of one namespace or of those that are selected."""

    namespaces: str | LabelSelector
    """A namespace by name, or all whose labels match."""
    pods: LabelSelector

    @cached_property
    def text(self) -> str:
        """The same for equal selections, in any process."""
        name = self.namespaces
        return f"{name if isinstance(name, str) else _written(name)}/{_written(self.pods)}"

    @cached_property
    def _hash(self) -> int:
        return hash((self.namespaces, self.pods))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        pods = f"pods {self.pods}" if self.pods.requirements else "all pods"
        if isinstance(self.namespaces, str):
            return f"{pods} in namespace {self.namespaces}"
        where = f"namespaces {self.namespaces}" if self.namespaces.requirements else "all namespaces"
        return f"{pods} in {where}"


@dataclass(frozen=True)
class Block:
    """Addresses in a network, but not in some parts of it."""

    network: IPNetwork
    excepted: tuple[IPNetwork, ...] = ()

    def __contains__(self, address: IPAddress) -> bool:
        if address.version != self.network.version or address not in self.network:
            return False
        return not any(address in each for each in self.excepted)

    @cached_property
    def text(self) -> str:
        """The same for equal blocks, in any process."""
        return f"={self.network}" + "".join(f"!{each}" for each in self.excepted)

    def __str__(self) -> str:
        if not self.excepted:
            return f"addresses in {self.network}"
        return f"addresses in {self.network} except {', '.join(map(str, self.excepted))}"


class Everyone(enum.Enum):
    """Every address."""

    EVERYONE = "*"

    @property
    def text(self) -> str:
        return self.value

    def __str__(self) -> str:
        return "everyone"


EVERYONE = Everyone.EVERYONE

Peer = Selection | Block | Everyone


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports of a protocol, the last one included."""

    protocol: Protocol
    first: int = 0
    last: int = HIGHEST_PORT

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        if (self.first, self.last) == (0, HIGHEST_PORT):
            return f"{self.protocol}"
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol} {ports}"


@dataclass(frozen=True, slots=True)
class NamedPort:
    """The port that containers of the pod that is dialled call so."""

    protocol: Protocol
    name: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.name}"


class AnyTraffic(enum.Enum):
    """Every protocol, those without ports included."""

    ANY_TRAFFIC = "any"

    def __str__(self) -> str:
        return "any traffic"


ANY_TRAFFIC = AnyTraffic.ANY_TRAFFIC

Port = PortRange | NamedPort | AnyTraffic


@dataclass(frozen=True, slots=True)
class Rule:
    """Each of `ports` from (ingress) or to (egress) each of `peers` is allowed."""

    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]


@dataclass(frozen=True)
class Policy:
    """A NetworkPolicy."""

    namespace: str
    name: str
    pods: Selection
    """Whom it is about."""
    ingress: tuple[Rule, ...] | None
    """What may come in; None: it doesn't say."""
    egress: tuple[Rule, ...] | None

    def rules(self, direction: Direction) -> tuple[Rule, ...] | None:
        return self.ingress if direction is Direction.INGRESS else self.egress

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def parse_policy(obj: Obj) -> Policy:
    """A NetworkPolicy object as a value.

    What can't be understood allows nothing: a peer or port of a kind that is newer than this. A policy whose
    own selector can't be read is about all pods of its namespace.
    """
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    namespace = metadata["namespace"]
    types = spec.get("policyTypes") or [
        Direction.INGRESS,
        *([Direction.EGRESS] if spec.get("egress") else []),
    ]
    ingress, egress = (
        tuple(_rule(each, peers, namespace) for each in spec.get(field) or ()) if kind in types else None
        for kind, field, peers in ((Direction.INGRESS, "ingress", "from"), (Direction.EGRESS, "egress", "to"))
    )
    about = Selection(namespace, _selector(spec.get("podSelector") or {}) or LabelSelector())
    return Policy(namespace, metadata["name"], about, ingress, egress)


def _rule(rule: Obj, peers: str, namespace: str) -> Rule:
    found: Iterable[Peer | None] = [EVERYONE]
    if rule.get(peers):
        found = [_peer(each, namespace) for each in rule[peers]]
    ports: Iterable[Port | None] = [ANY_TRAFFIC]
    if rule.get("ports"):
        ports = [_port(each) for each in rule["ports"]]
    return Rule(
        tuple(each for each in found if each is not None), tuple(each for each in ports if each is not None)
    )


def _peer(peer: Obj, namespace: str) -> Peer | None:
    if (block := peer.get("ipBlock")) is not None:
        return _block(block)
    if peer.get("podSelector") is None and peer.get("namespaceSelector") is None:
        return None
    pods = _selector(peer.get("podSelector") or {})
    if (given := peer.get("namespaceSelector")) is None:
        return Selection(namespace, pods) if pods is not None else None
    namespaces = _selector(given)
    return Selection(namespaces, pods) if pods is not None and namespaces is not None else None


def _selector(selector: Obj) -> LabelSelector | None:
    try:
        return LabelSelector.from_object(selector)
    except BadRequest:
        return None


def _block(block: Obj) -> Block | None:
    try:
        network = ip_network(block["cidr"], strict=False)
        holes = tuple(ip_network(each, strict=False) for each in block.get("except") or ())
    except (KeyError, TypeError, ValueError):
        return None
    return Block(network, tuple(each for each in holes if each.version == network.version))


def _port(port: Obj) -> Port | None:
    try:
        protocol = parse_protocol(port.get("protocol"))
    except ValueError:
        return None
    first = port.get("port")
    if first is None:
        return PortRange(protocol)
    if isinstance(first, str):
        return NamedPort(protocol, first)
    return PortRange(protocol, first, port.get("endPort") or first)


def _written(selector: LabelSelector) -> str:
    requirements = selector.requirements
    return "&".join(sorted(f"{each.key} {each.operator} {sorted(each.values)}" for each in requirements))
