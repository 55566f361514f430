"""May this packet pass? One question, answered by the API's text, with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellhead.ip import IPAddress, Protocol
from wellhead.policies.cluster_policy import Action, ClusterPolicy, ClusterRule, Tier
from wellhead.policies.pods import Labels, Pod
from wellhead.policies.policy import (
    AnyTraffic,
    Block,
    Direction,
    Everyone,
    NamedPort,
    Peer,
    Policy,
    Port,
    PortRange,
    Selection,
)

Namespaces = Mapping[str, Labels]
"""Labels by name."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A connection's first packet, as the node that judges it sees it: behind destination NAT, before
    source NAT."""

    source: IPAddress
    destination: IPAddress
    protocol: Protocol | None
    """None: one without ports, as ICMP."""
    port: int = 0
    source_pod: Pod | None = None
    """Whose address it is, if any pod's."""
    destination_pod: Pod | None = None
    destination_node: Pod | None = None
    """The node whose address it is, as one of the namespace of nodes."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The first part of a policy that allows a packet."""

    policy: Policy
    peer: Peer
    port: Port
    field: str
    """Where in the policy that is, `spec.ingress[0]` say."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The rule of a ClusterNetworkPolicy that decides."""

    policy: ClusterPolicy
    rule: ClusterRule
    field: str
    """Where in the policy that is, `spec.ingress[0]` say."""

    @property
    def accepts(self) -> bool:
        return self.rule.action is Action.ACCEPT

    @property
    def denies(self) -> bool:
        return self.rule.action is Action.DENY


@dataclass(frozen=True, slots=True)
class Judgement:
    """What policies say of a packet in one direction."""

    isolating: tuple[Policy, ...]
    """The NetworkPolicies that select the pod; without any it isn't isolated."""
    allowed_by: Allowance | None = None
    is_own: bool = False
    """From a pod to itself, which no policy can forbid."""
    by_cluster: Decided | None = None
    """The ClusterNetworkPolicy that decides, before NetworkPolicies or where there are none."""

    @property
    def passes(self) -> bool:
        if self.is_own:
            return True
        if self.by_cluster is not None:
            return self.by_cluster.accepts
        return not self.isolating or self.allowed_by is not None


def judge(
    traffic: Traffic,
    direction: Direction,
    policies: Iterable[Policy],
    namespaces: Namespaces,
    cluster: Iterable[ClusterPolicy] = (),
) -> Judgement:
    """What policies say of a packet that comes to (Ingress) or leaves (Egress) the pod at that end.

    An end that is no pod is not isolated. NetworkPolicies allow in any order, and together. Of
    ClusterNetworkPolicies the first rule of the Admin tier decides, unless it passes; then NetworkPolicies,
    where any selects the pod; then the Baseline tier.
    """
    ingress = direction is Direction.INGRESS
    subject = traffic.destination_pod if ingress else traffic.source_pod
    if subject is None:
        return Judgement(())
    isolating = tuple(
        each
        for each in policies
        if each.rules(direction) is not None and selects(each.pods, subject, namespaces)
    )
    if traffic.source_pod is not None and traffic.source_pod == traffic.destination_pod:
        return Judgement(isolating, is_own=True)
    tiers = sorted(cluster, key=lambda each: each.order)
    admin = _first(
        traffic, direction, subject, (each for each in tiers if each.tier is Tier.ADMIN), namespaces
    )
    if admin is not None and (admin.accepts or admin.denies):
        return Judgement(isolating, by_cluster=admin)
    if not isolating:
        baseline = (each for each in tiers if each.tier is Tier.BASELINE)
        found = _first(traffic, direction, subject, baseline, namespaces)
        return Judgement((), by_cluster=found if found is not None and found.denies else None)
    for policy in isolating:
        for index, rule in enumerate(policy.rules(direction) or ()):
            for peer in rule.peers:
                if not _is_peer(peer, traffic, ingress=ingress, namespaces=namespaces):
                    continue
                for port in rule.ports:
                    if _is_port(port, traffic):
                        field = f"spec.{direction.lower()}[{index}]"
                        return Judgement(isolating, Allowance(policy, peer, port, field))
    return Judgement(isolating)


def _first(
    traffic: Traffic,
    direction: Direction,
    subject: Pod,
    tier: Iterable[ClusterPolicy],
    namespaces: Namespaces,
) -> Decided | None:
    """The first rule of a tier that matches."""
    ingress = direction is Direction.INGRESS
    for policy in tier:
        if not selects(policy.pods, subject, namespaces):
            continue
        for index, rule in enumerate(policy.rules(direction)):
            among = any(
                _is_peer(each, traffic, ingress=ingress, namespaces=namespaces) for each in rule.peers
            )
            if among and any(_is_port(each, traffic) for each in rule.ports):
                return Decided(policy, rule, f"spec.{direction.lower()}[{index}]")
    return None


def selects(selection: Selection, pod: Pod, namespaces: Namespaces) -> bool:
    """Whether a selection includes a pod."""
    where = selection.namespaces
    if isinstance(where, str):
        if where != pod.namespace:
            return False
    elif pod.namespace not in namespaces or not where.matches(dict(namespaces[pod.namespace])):
        return False
    return selection.pods.matches(dict(pod.labels))


def _is_peer(peer: Peer, traffic: Traffic, *, ingress: bool, namespaces: Namespaces) -> bool:
    address = traffic.source if ingress else traffic.destination
    pod = traffic.source_pod if ingress else traffic.destination_pod
    match peer:
        case Everyone():
            return True
        case Block():
            return address in peer
        case Selection():
            node = None if ingress else traffic.destination_node
            return any(each is not None and selects(peer, each, namespaces) for each in (pod, node))


def _is_port(port: Port, traffic: Traffic) -> bool:
    match port:
        case AnyTraffic():
            return True
        case PortRange():
            return traffic.protocol is port.protocol and traffic.port in port
        case NamedPort():
            named = traffic.destination_pod.ports if traffic.destination_pod is not None else ()
            return any(
                (each.name, each.protocol, each.number) == (port.name, traffic.protocol, traffic.port)
                and port.protocol is each.protocol
                for each in named
            )
