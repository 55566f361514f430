"""The roles that parties have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.reading import Obj, text
from wellhead.paths.way import Decision, Forwarded, Note, PartyFound

if TYPE_CHECKING:
    from wellhead.paths.services import ServiceFacts
    from wellhead.paths.world import World
    from wellhead.services.endpointslice import EndpointAddress
    from wellhead.services.names import FrontendOfKind
    from wellhead.services.service import ServicePort


def note(code: Code, sentence: str = "", decided_by: Decision | None = None, do: str = "") -> Note:
    """A note; the code's own meaning where nothing more special is said."""
    return Note(code=code, sentence=sentence or code.meaning, decided_by=decided_by, do=do)


def named(obj: Obj) -> str:
    """`Service shop/web`."""
    namespace = text(obj, "metadata", "namespace")
    name = text(obj, "metadata", "name")
    return f"{text(obj, 'kind')} {namespace}/{name}" if namespace else f"{text(obj, 'kind')} {name}"


@dataclass
class Party:
    """Somebody who handles packets."""

    name: str
    recognised_by: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    known: bool = True
    notes: tuple[Note, ...] = ()
    """What is assumed of it."""

    role = ""

    def found(self) -> PartyFound:
        return PartyFound(
            role=self.role,
            name=self.name,
            recognised_by=self.recognised_by,
            facts=self.facts,
            known=self.known,
        )


@dataclass(frozen=True)
class Rewrite:
    """A masquerade, and why."""

    code: Code
    because: str
    decided_by: Decision | None = None


class Network(Party):
    """The pods' network on every node (its CNI plugin). By default: nothing is known of it."""

    role = "network"
    world: World

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        """The node's address towards one of its own pods."""
        return NodeAddress(None, notes=(note(Code.UNKNOWN_NODE_ADDRESS),))

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        """The node's address towards a pod of another node."""
        return NodeAddress(None, notes=(note(Code.UNKNOWN_NODE_ADDRESS),))

    def masquerades(self, packet: Packet) -> Rewrite | None:
        """Whether the network replaces the source of a packet that leaves `packet.node`, which the service
        proxy left alone."""
        return None

    def routes_pods_outside(self) -> bool:
        """Whether pod addresses can be reached from outside the cluster (a VPC's, or announced ones)."""
        return False

    # For those that say more

    def internal(self, node: str, family: Family, because: str, *notes: Note) -> NodeAddress:
        """The node's InternalIP."""
        facts = self.world.nodes.get(node)
        return NodeAddress(facts.internal_of(family) if facts else None, because, notes)

    def first_of_pod_cidr(self, node: str, family: Family, host: int, because: str) -> NodeAddress:
        """A host of the node's podCIDR."""
        facts = self.world.nodes.get(node)
        cidr = facts.pod_cidr_of(family) if facts else None
        if cidr is None or cidr.num_addresses <= host:
            return NodeAddress(None, because, (note(Code.UNKNOWN_NODE_ADDRESS),))
        return NodeAddress(cidr[host], because)


class Agent(Party):
    """A program that masquerades on every node beside the network."""

    role = "agent"

    def masquerades(self, packet: Packet) -> Rewrite | None:
        raise NotImplementedError


@dataclass(frozen=True)
class Arrival:
    """A packet at a node's service proxy, addressed to a frontend of a Service."""

    packet: Packet
    node: str
    facts: ServiceFacts
    port: ServicePort
    frontend: FrontendOfKind


@dataclass(frozen=True)
class Verdict:
    """One of the things that a service proxy may do with an arrival."""

    share: float
    action: str
    """forward, drop or refuse."""
    code: Code
    because: str
    endpoint: EndpointAddress | None = None
    endpoint_node: str = ""
    masquerade: bool = False
    source: NodeAddress | None = None
    """What a masquerade takes, where it isn't the kernel's choice."""
    keep_network: bool = False
    """Whether neither the network nor an agent sees the packet before it leaves (eBPF)."""
    claims: bool = False
    """Whether the proxy keeps the source from whoever else would replace it."""
    claim_notes: tuple[Note, ...] = ()
    """What is assumed where it does."""
    returns_by_itself: bool = False
    decided_by: Decision | None = None
    notes: tuple[Note, ...] = ()


def forward(
    share: float, endpoint: EndpointAddress, where: str, code: Code, because: str = "", **more: Any
) -> Verdict:
    """The connection goes to an endpoint on the node `where`."""
    return Verdict(share, "forward", code, because or code.meaning, endpoint, where, **more)


class ServiceProxy(Party):
    """What handles Services on the nodes."""

    role = "proxy"
    world: World

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        """What becomes of it. The shares sum to 1."""
        raise NotImplementedError

    def answers_node_ports_at(self, node: str, address: IPAddress) -> Note | None:
        """None if it answers node ports at this address of the node; else why not."""
        return None

    def before_packets(self, packet: Packet) -> bool:
        """Whether a connection of this node's pods or its own is decided at connect(), wherever the Service's
        node port is dialled."""
        return False


@dataclass(frozen=True)
class Delivery:
    """How a load balancer hands on what it gets."""

    how: str
    """forward: unchanged to a node; node-port: to a node's node port, source kept; terminate-node: by its own
    connection to a node port; terminate-endpoint: by its own connection to an endpoint; endpoint: to an
    endpoint, source kept; unknown."""
    nodes: tuple[str, ...] | None = None
    """The nodes that it may send to; None: every node that passes."""
    one_of: bool = False
    """Whether it is but one of them at any time."""
    code: Code = Code.BALANCER_FORWARDS
    because: str = ""
    decided_by: Decision | None = None
    address: IPAddress | None = None
    """Its own, where it makes its own connections and that is known."""
    address_note: str = ""
    forwarded: tuple[Forwarded, ...] = ()
    notes: tuple[Note, ...] = ()
    loopback: str = "works"
    """What becomes of a connection that comes back to its sender: works, fails, unknown."""
    private: bool = False
    """Whether clients inside reach it with their own addresses."""
    enforces_ranges: bool = False
    """Whether it turns away clients in none of loadBalancerSourceRanges by itself."""
    checks_health: bool = True
    """Whether it leaves out nodes without endpoints under Local."""


class Balancer(Party):
    """Who leads a load balancer's address (or another one) to the nodes."""

    role = "balancer"
    world: World

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        raise NotImplementedError
