"""How one node handles one Service port: the value that backends install and that predictions read."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_network
from typing import NamedTuple

import msgspec

from wellhead.ip import IPAddress, IPNetwork, Protocol
from wellhead.services.endpointslice import Endpoint, EndpointAddress
from wellhead.services.names import FrontendKind, FrontendOfKind, PortKey
from wellhead.services.node import LocalNode
from wellhead.services.service import ServicePort
from wellhead.services.traffic import candidates


class _Member(enum.Enum):
    """There is one object of each member, so its identity is a hash: quicker than that of its name."""

    __hash__ = object.__hash__


class Action(_Member):
    """What becomes of a new connection."""

    FORWARD = "forward"
    REJECT = "reject"
    """Refused at once, with ICMP port unreachable: the cluster has no usable endpoint."""
    DROP = "drop"
    """Silently: there are endpoints, but a Local policy allows none of them here."""


class Scope(_Member):
    """From which of a port's two lists of endpoints one is chosen."""

    CLUSTER = "cluster"
    LOCAL = "local"


class Handling(NamedTuple):
    """What becomes of a new connection, from which endpoints, and whether its source is replaced.

    Independently of `masquerade`, a connection that a pod opens to itself through a Service (hairpin) is
    always masqueraded, or the pod would answer itself directly and the connection never come about.
    """

    action: Action
    scope: Scope = Scope.CLUSTER
    masquerade: bool = False
    preserve: bool = False
    """Beside `masquerade`: not for clients outside the cluster whose endpoint `Preserved.returning` has."""


class Routing(NamedTuple):
    """Handling by where a connection comes from. The first that applies, in this order, counts."""

    pods: Handling
    """From pods of this node, as the node's detector recognises them. Without a detector: as `others`."""
    node: Handling
    """From this node itself."""
    others: Handling
    """From anywhere else: clients outside, other nodes, and pods that the detector does not recognise."""


class Preserved(msgspec.Struct, frozen=True, gc=False):
    """Where the address of a client outside is kept under the Cluster policy, and where it can't be.

    Replies have to come back through the node that the client dialled. They do from its own endpoints, and
    from those on nodes that return symmetrically.
    """

    returning: tuple[IPAddress, ...]
    """Addresses of the endpoints that see the client; ordered."""
    elsewhere: tuple[str, ...]
    """The nodes of the others, whose clients are masqueraded; empty for an endpoint that does not say."""


class PortView(msgspec.Struct, frozen=True, gc=False):
    """How one node handles one Service port in one family."""

    key: PortKey
    protocol: Protocol
    frontends: tuple[FrontendOfKind, ...]
    """Those that it holds."""
    internal: Routing
    """For the ClusterIP."""
    external: Routing
    """For external IPs, load balancer IPs and node ports."""
    cluster: tuple[EndpointAddress, ...]
    """The endpoints behind `Scope.CLUSTER`, ordered; empty when no routing uses them."""
    local: tuple[EndpointAddress, ...]
    """The endpoints behind `Scope.LOCAL`, ordered; empty when no routing uses them."""
    affinity_seconds: int | None
    """A client returns to its last endpoint within this time of its last new connection; None: it doesn't."""
    allowed_sources: tuple[IPNetwork, ...]
    """Who may use the load balancer IPs, pods and nodes included; empty when everybody may."""
    serving: tuple[EndpointAddress, ...]
    """The endpoints whose established flows may go on, whether or not new ones are sent there; ordered."""
    hairpins: tuple[IPAddress, ...] = ()
    """Addresses of endpoints that may be pods of this node, and so may be reaching themselves."""
    nodeless: tuple[IPAddress, ...] = ()
    """Those of endpoints that don't say where they are: nobody knows which way their replies take."""
    preserved: Preserved | None = None
    """None where nobody asked for it, or where the policy needs no help."""

    def routing(self, kind: FrontendKind) -> Routing:
        return self.internal if kind is FrontendKind.CLUSTER_IP else self.external

    def guards(self, kind: FrontendKind) -> bool:
        """Whether a client that dials a frontend of this kind must be in `allowed_sources`.

        Source ranges count for load balancer IPs alone; where nothing is forwarded there is nothing to guard.
        """
        return (
            kind is FrontendKind.LOAD_BALANCER_IP
            and bool(self.allowed_sources)
            and any(each.action is Action.FORWARD for each in self.external)
        )

    def endpoints(self, scope: Scope) -> tuple[EndpointAddress, ...]:
        return self.cluster if scope is Scope.CLUSTER else self.local

    @property
    def here(self) -> tuple[EndpointAddress, ...]:
        """The endpoints that are known to be on this node: what they answer passes it."""
        if not self.hairpins:
            return ()
        known = {each.packed for each in self.hairpins} - {each.packed for each in self.nodeless}
        return tuple(dict.fromkeys([each for each in (*self.cluster, *self.local) if each.packed in known]))


def view_port(
    port: ServicePort,
    held: tuple[FrontendOfKind, ...],
    endpoints: Mapping[EndpointAddress, Endpoint],
    node: LocalNode,
) -> PortView:
    """Decide how `node` handles `port`, which holds `held` of the frontends it claims."""
    usable = candidates(endpoints, node)
    detects = node.detector(port.key.family) is not None
    usable_at_all, usable_here = bool(usable.cluster), bool(usable.local)
    internal = _internal(port.internal_local, usable_at_all, usable_here, detects, node.masquerade_all)
    preserved = _preserved(port, held, usable.cluster, endpoints, node)
    preserves = preserved is not None and bool(preserved.returning)
    external = _external(port.external_local, usable_at_all, usable_here, detects, preserves)
    scopes = 0
    for kind, _ in held:
        scopes |= _scopes_of(internal if kind is FrontendKind.CLUSTER_IP else external)
    cluster = usable.cluster if scopes & _TO_CLUSTER else ()
    local = usable.local if scopes & _TO_LOCAL else ()
    used = cluster + local
    here = ("", node.name)  # an endpoint that does not say where it is may be anywhere
    hairpins = _addresses([each for each in used if endpoints[each].node in here])
    serving = tuple([address for address, each in endpoints.items() if each.keeps_flows])
    return PortView(
        key=port.key,
        protocol=port.protocol,
        frontends=held,
        internal=internal,
        external=external,
        cluster=cluster,
        local=local,
        affinity_seconds=port.affinity_seconds,
        allowed_sources=_allowed_sources(port, node) if port.source_ranges else (),
        serving=cluster if serving == cluster else serving,  # one tuple is enough
        hairpins=hairpins,
        nodeless=_addresses([each for each in used if not endpoints[each].node]) if hairpins else (),
        preserved=preserved,
    )


def _addresses(endpoints: list[EndpointAddress]) -> tuple[IPAddress, ...]:
    """Of some endpoints, in their order, each once."""
    return tuple(dict.fromkeys([each.ip for each in endpoints])) if endpoints else ()


# There are few routings, and many ports: equal ones are one object.
@cache
def _internal(
    only_local: bool, usable: bool, usable_here: bool, detects: bool, masquerade_all: bool
) -> Routing:
    """The ClusterIP: local pods keep their source; where nothing detects them, everybody keeps it."""
    scope = Scope.LOCAL if only_local else Scope.CLUSTER
    if not (usable_here if only_local else usable):
        return _alike(Handling(Action.DROP if usable else Action.REJECT))
    pods = Handling(Action.FORWARD, scope, masquerade_all)
    others = Handling(Action.FORWARD, scope, masquerade_all or detects)
    return Routing(pods=pods, node=others, others=others)


@cache
def _external(only_local: bool, usable: bool, usable_here: bool, detects: bool, preserves: bool) -> Routing:
    """Everything but the ClusterIP.

    Under the Local policy this node's pods and the node itself reach all endpoints: the policy is there for
    the true source of traffic from outside, and theirs is kept (or, the node's, of no interest) anyway.
    """
    if not usable:
        return _alike(Handling(Action.REJECT))
    if not only_local:
        inside = Handling(Action.FORWARD, Scope.CLUSTER, masquerade=True)
        return Routing(pods=inside, node=inside, others=inside._replace(preserve=preserves))
    others = Handling(Action.FORWARD, Scope.LOCAL) if usable_here else Handling(Action.DROP)
    return Routing(
        pods=Handling(Action.FORWARD, Scope.CLUSTER) if detects else others,
        node=Handling(Action.FORWARD, Scope.CLUSTER, masquerade=True),
        others=others,
    )


_TO_CLUSTER, _TO_LOCAL = 1, 2


@cache
def _scopes_of(routing: Routing) -> int:
    """To which scopes a routing forwards."""
    found = 0
    for handling in routing:
        if handling.action is Action.FORWARD:
            found |= _TO_LOCAL if handling.scope is Scope.LOCAL else _TO_CLUSTER
    return found


def _alike(handling: Handling) -> Routing:
    return Routing(handling, handling, handling)


def _preserved(
    port: ServicePort,
    held: tuple[FrontendOfKind, ...],
    usable: tuple[EndpointAddress, ...],
    endpoints: Mapping[EndpointAddress, Endpoint],
    node: LocalNode,
) -> Preserved | None:
    """Which of the `usable` endpoints may see the client's own address.

    None of them while nobody knows who is inside: two pods that meet on a third node would lose each other.
    """
    wanted = port.preserve_client_ip
    if not (node.preserve_client_ip if wanted is None else wanted) or port.external_local:
        return None
    if all(each.kind is FrontendKind.CLUSTER_IP for each in held):
        return None
    knows_inside = node.knows_inside(port.key.family)
    returning: dict[IPAddress, None] = {}
    elsewhere: set[str] = set()
    for each in usable:
        where = endpoints[each].node
        if knows_inside and where and (where == node.name or where in node.returning):
            returning[each.ip] = None
        else:
            elsewhere.add(where)
    return Preserved(tuple(returning), tuple(sorted(elsewhere)))


def _allowed_sources(port: ServicePort, node: LocalNode) -> tuple[IPNetwork, ...]:
    """The source ranges, widened by the Service's own load balancer IPs when this node is in one.

    Where a VIP is also an address of the node, the node's own packets to it carry the VIP as their source.
    """
    ranges = port.source_ranges
    mine: list[IPAddress] = [each for each in node.addresses if each.version == port.key.family]
    if any(address in network for network in ranges for address in mine):
        return ranges + tuple(ip_network(each) for each in port.addresses(FrontendKind.LOAD_BALANCER_IP))
    return ranges
