"""All Services that clients outside may reach, each in a line."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.paths.client import OUTSIDE
from wellhead.paths.explain import Question
from wellhead.paths.reading import tables, text, texts
from wellhead.paths.rendering.words import headline
from wellhead.paths.report import explain
from wellhead.paths.world import World


def reachable(world: World, namespace: str) -> Iterator[tuple[str, str]]:
    """(svc/NAME, namespace) of Services with an address for clients outside, or with a route to them."""
    routed = {
        text(each, "metadata", "namespace") or "default"
        for kind in ("Ingress", "HTTPRoute")
        for each in world.all(kind)
    }
    for entry in world.entries("Service"):
        space = entry.namespace or "default"
        if namespace and space != namespace:
            continue
        spec = entry.obj.get("spec")
        outward = text(spec, "type") in ("NodePort", "LoadBalancer") or texts(spec, "externalIPs")
        if outward or (space in routed and tables(spec, "ports")):
            yield f"svc/{entry.name}", space


def overview(world: World, namespace: str) -> list[str]:
    """What servers see of clients outside, Service by Service."""
    lines = []
    for target, space in reachable(world, namespace):
        report = explain(world, Question(target, space, (OUTSIDE,)))
        if report.ways:
            answer, _ = headline(report.ways)
            lines.append(f"{space}/{target.removeprefix('svc/')}: {answer}")
    return lines
