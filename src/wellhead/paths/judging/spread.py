"""How policy Local would spread a Service's traffic in this cluster: the price of it."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.paths.explain import Explanation
from wellhead.paths.services import ServiceFacts


@dataclass(frozen=True)
class Spread:
    """Ready endpoints by node."""

    nodes: int
    per_node: tuple[tuple[str, int], ...]

    @property
    def without(self) -> int:
        """Nodes that would answer nobody."""
        return self.nodes - len(self.per_node)

    @property
    def endpoints(self) -> int:
        return sum(count for _, count in self.per_node)

    @property
    def uneven(self) -> bool:
        return len({count for _, count in self.per_node}) > 1

    def price(self, one_node: str | None) -> str:
        """In a sentence. `one_node`: the only one that gets traffic (empty: one that isn't known)."""
        if not self.per_node:
            return "no node has a ready endpoint"
        parts = [f"{self.without} of {self.nodes} nodes would answer nobody"] if self.without else []
        if one_node is not None:
            here = (
                dict(self.per_node).get(one_node, 0) if one_node else max(count for _, count in self.per_node)
            )
            rest = self.endpoints - here
            if rest:
                where = one_node or "the announcing node"
                parts.append(
                    f"all traffic would go to {where}'s {_count(here)}, {rest} of {self.endpoints} get none"
                )
        elif self.uneven:
            node, fewest = min(self.per_node, key=lambda item: item[1])
            share = 1 / len(self.per_node) / fewest
            parts.append(
                f"{node}'s {_count(fewest)} would get {share:.0%} of the "
                f"traffic{' each' if fewest > 1 else ''}"
            )
        return "; ".join(parts) or "nothing: every node has as many endpoints as every other"


def _count(number: int) -> str:
    return "endpoint" if number == 1 else f"{number} endpoints"


def spread(explanation: Explanation, facts: ServiceFacts) -> Spread:
    """Where a Service's endpoints are."""
    counts: dict[str, set[object]] = {}
    for port in facts.ports():
        for address, endpoint in facts.endpoints(port).items():
            if endpoint.ready and endpoint.node:
                counts.setdefault(endpoint.node, set()).add(address.ip)
    nodes = max(len(explanation.world.nodes), len(counts))
    return Spread(nodes, tuple(sorted((node, len(found)) for node, found in counts.items())))


def announcing_node(explanation: Explanation, facts: ServiceFacts) -> str | None:
    """The one node that gets all of a balancer's traffic; empty if it isn't known which, None if there are
    more."""
    if facts.type != "LoadBalancer" or not facts.balancer_addresses:
        return None
    party = explanation.parties.balancer(facts)
    first = facts.balancer_addresses[0]
    protocol = next((each[1] for each in facts.port_numbers()), None)
    if protocol is None:
        return None
    delivery = party.delivers(facts, first.ip, protocol)
    if not delivery.one_of or len(facts.balancer_addresses) > 1:
        return None
    return delivery.nodes[0] if delivery.nodes is not None and len(delivery.nodes) == 1 else ""
