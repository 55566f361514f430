"""In a large cluster, one node stands for all that are like it as far as a Service goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wellhead.ip import Family
from wellhead.paths.nodes import NodeFacts
from wellhead.paths.services import ServiceFacts

MANY_NODES = 40
"""Up to so many, each stands for itself."""


def classes(
    nodes: Iterable[NodeFacts], facts: ServiceFacts | None, family: Family
) -> Iterator[tuple[NodeFacts, list[NodeFacts]]]:
    """Nodes, each with the others that it stands for."""
    found = list(nodes)
    if len(found) <= MANY_NODES or facts is None:
        for each in found:
            yield each, []
        return
    here = facts.endpoints_by_node(family)
    zones = any(e.zone_hints for port in facts.ports() for e in facts.endpoints(port).values())
    alike: dict[tuple[object, ...], list[NodeFacts]] = {}
    for each in found:
        key = (
            here.get(each.name, 0),
            each.zone if zones else "",
            each.proxy_version or each.kubelet_version,
            each.excluded,
            len(each.internal),
            len(each.external),
        )
        alike.setdefault(key, []).append(each)
    for members in alike.values():
        yield members[0], members[1:]
