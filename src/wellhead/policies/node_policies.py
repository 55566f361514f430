"""What NetworkPolicies let through to and from one node's pods, kept current."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from wellhead.policies.followed import Followed
from wellhead.policies.pods import NamedNumber, Pod
from wellhead.policies.policy import Direction, NamedPort, Peer, Policy, Port, PortRange


class Allowed(NamedTuple):
    """One thing that is allowed to a subject."""

    peer: Peer
    port: Port
    """What is dialled. Names in it are of the peer's ports: a subject's own are numbers already."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A pod of the node, and what may come to it and go from it; None: everything."""

    pod: Pod
    ingress: frozenset[Allowed] | None = None
    egress: frozenset[Allowed] | None = None

    def allowed(self, direction: Direction) -> frozenset[Allowed] | None:
        return self.ingress if direction is Direction.INGRESS else self.egress


class NodePolicies(Followed[Policy, Subject]):
    """NetworkPolicies, for one node."""

    def _subject(self, pod: Pod) -> Subject:
        policies = self._about_pod(pod)
        ingress, egress = (_allowed(policies, direction, pod) for direction in Direction)
        return Subject(pod, ingress, egress)


def _allowed(policies: Iterable[Policy], direction: Direction, pod: Pod) -> frozenset[Allowed] | None:
    found = [rules for each in policies if (rules := each.rules(direction)) is not None]
    if not found:
        return None
    own = pod.ports if direction is Direction.INGRESS else None
    return frozenset(
        Allowed(peer, port)
        for rules in found
        for rule in rules
        for peer in rule.peers
        for port in own_numbers(rule.ports, own)
    )


def own_numbers(ports: Iterable[Port], own: tuple[NamedNumber, ...] | None) -> Iterator[Port]:
    """Ports, those that a pod itself has names for by number; None: the names aren't its own."""
    for port in ports:
        if own is None or not isinstance(port, NamedPort):
            yield port
            continue
        for each in own:
            if (each.name, each.protocol) == (port.name, port.protocol):
                yield PortRange(each.protocol, each.number, each.number)
