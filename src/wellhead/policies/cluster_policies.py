"""What ClusterNetworkPolicies say of one node's pods, kept current."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from wellhead.ip import IPAddress
from wellhead.policies.cluster_policy import Action, ClusterPolicy, Tier
from wellhead.policies.followed import Changes, Followed
from wellhead.policies.node_policies import own_numbers
from wellhead.policies.pods import Pod
from wellhead.policies.policy import Block, Direction, Peer, Port


class Ruling(NamedTuple):
    """A rule that is about a pod. Names of the pod's own ports are numbers already."""

    tier: Tier
    action: Action
    peers: frozenset[Peer]
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class ClusterSubject:
    """A pod of the node, and the rules that are about it: of each tier in the order in which they count."""

    pod: Pod
    ingress: tuple[Ruling, ...] = ()
    egress: tuple[Ruling, ...] = ()

    def rulings(self, direction: Direction) -> tuple[Ruling, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress


class ClusterPolicies(Followed[ClusterPolicy, ClusterSubject]):
    """ClusterNetworkPolicies, for one node. Nodes are told as pods of the namespace of nodes.

    An address has one class here, with all peers that it is among: since rules have an order, no two can be
    asked apart.
    """

    def take(self) -> Changes[ClusterSubject]:
        if self._blocks_stale:
            self._stale.update(self._classes)
        return super().take()

    def _subject(self, pod: Pod) -> ClusterSubject:
        policies = sorted(self._about_pod(pod), key=lambda each: (each.tier, each.order))
        ingress, egress = (tuple(_rulings(policies, direction, pod)) for direction in Direction)
        return ClusterSubject(pod, ingress, egress)

    def _blocks_around(self, address: IPAddress) -> Iterator[Block]:
        return (each for each in self._peers if isinstance(each, Block) and address in each)


def _rulings(policies: list[ClusterPolicy], direction: Direction, pod: Pod) -> Iterator[Ruling]:
    own = pod.ports if direction is Direction.INGRESS else None
    for policy in policies:
        for rule in policy.rules(direction):
            ports = tuple(own_numbers(rule.ports, own))
            if rule.peers and ports:
                yield Ruling(policy.tier, rule.action, frozenset(rule.peers), ports)
