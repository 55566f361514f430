"""A way cut into places, and the packets between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from wellhead.paths.way import Disposition, Outcome, Way, What


@dataclass
class Place:
    """Somewhere that the packet is."""

    name: str
    kind: str
    """client, balancer, node or endpoint."""
    rewrites: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Hop:
    """A packet between two places."""

    from_: Place
    to: Place
    source: str
    destination: str


def hops(way: Way, outcome: Outcome) -> tuple[list[Place], list[Hop]]:
    """The places of one outcome in their order, and the packets between."""
    client = Place(way.client, "client")
    places, packets = [client], []
    source, destination = way.client_address or way.client, f"{way.address}:{way.port}"

    def go(name: str, kind: str) -> Place:
        here = places[-1]
        if here.name == name:
            return here
        there = next((each for each in places if each.name == name), None) or Place(name, kind)
        packets.append(Hop(here, there, source, destination))
        places.append(there)
        return there

    for step in outcome.steps:
        if step.what is What.SEND:
            source = step.from_ or source
            if step.node and step.node != way.client:
                go(step.node, "node")
            continue
        if step.what is What.DELIVER:
            continue
        if step.what is What.TERMINATE:
            name = step.who.partition(" on ")[0]
            place = go(name, "endpoint" if step.node else "balancer")
        elif step.node:
            place = go(step.node, "node")
        elif step.who in ("the reply", "the network"):
            place = places[-1]
        else:
            place = go(step.who, "balancer")
        if step.what is What.DNAT and step.to:
            destination = step.to
            place.rewrites.append(f"DNAT to {step.to}")
        elif step.what is What.SNAT and step.to:
            source = step.to
            place.rewrites.append(f"SNAT to {step.to}")
        elif step.what is What.TERMINATE and step.to:
            source = step.to
            place.rewrites.append(f"its own connection from {step.to}")
        elif step.what in (What.DROP, What.REFUSE):
            place.rewrites.append("dropped" if step.what is What.DROP else "refused")
    if outcome.disposition is Disposition.DELIVERED:
        if outcome.endpoint_node:
            go(outcome.endpoint_node, "node")
        go(outcome.endpoint_pod or outcome.endpoint or "the server", "endpoint")
    return _each_once(places), packets


def _each_once(places: list[Place]) -> list[Place]:
    found: list[Place] = []
    for each in places:
        if all(each is not other for other in found):
            found.append(each)
    return found
