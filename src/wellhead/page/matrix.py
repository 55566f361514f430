"""The source-IP matrix of a cluster's own Services, as predicted: who dials what, what is seen then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.ip import bracketed
from wellhead.matrix.result import in_words
from wellhead.page.values import Ask, Cell, Matrix, Row
from wellhead.paths.client import OUTSIDE, UnknownClient
from wellhead.paths.explain import Explanation, Question
from wellhead.paths.reading import is_true, text
from wellhead.paths.services import ServiceFacts
from wellhead.paths.targets import UnknownTarget
from wellhead.paths.way import Way
from wellhead.paths.world import World

COLUMNS = (
    "client outside",
    "pod, server's node",
    "pod, other node",
    "the server itself",
    "server's node",
    "other node",
)
MOST_SERVICES = 40
_SYSTEM = "kube-system"


@dataclass(frozen=True)
class _Place:
    """A client, and where it stands in the table."""

    column: int
    client: str


def matrix(world: World, outside: str = OUTSIDE) -> Matrix:
    """The Services that clients outside may reach first. `outside` is the client there, as a question names
    it.
    """
    services = sorted(_services(world), key=_order)
    rows = [row for facts in services[:MOST_SERVICES] for row in _rows(world, facts, outside)]
    left_out = tuple(str(each) for each in services[MOST_SERVICES:])
    return Matrix(columns=COLUMNS, rows=tuple(rows), left_out=left_out)


def _services(world: World) -> Iterator[ServiceFacts]:
    for entry in world.entries("Service"):
        facts = ServiceFacts(world, entry.obj)
        if facts.ports() and facts.namespace != _SYSTEM and facts.spec.get("selector"):
            yield facts


def _order(facts: ServiceFacts) -> tuple[int, str]:
    return ("LoadBalancer", "NodePort").index(facts.type) if facts.type in (
        "LoadBalancer",
        "NodePort",
    ) else 2, str(facts)


def _rows(world: World, facts: ServiceFacts, outside: str) -> Iterator[Row]:
    family = f"IPv{facts.ports()[0].key.family.value}"
    serving = {each.node for port in facts.ports() for each in facts.endpoints(port).values() if each.node}
    found: dict[tuple[str, str, int, str], dict[int, Way]] = {}
    for place in _clients(world, facts, serving, outside):
        for way in _ways(world, facts, place.client):
            if way.family == family and (key := _key(world, way, serving)) is not None:
                cells = found.setdefault(key, {})
                if place.column not in cells or (place.client == outside and _is_external(world, way)):
                    cells[place.column] = way
    for (frontend, where, port, protocol), ways in found.items():
        first = next(iter(ways.values()))
        yield Row(
            service=str(facts),
            frontend=frontend,
            where=where,
            address=first.address,
            port=port,
            protocol=protocol,
            policy=_policy(facts, frontend),
            cells=tuple(
                _cell(ways[column], facts) if column in ways else None for column in range(len(COLUMNS))
            ),
        )


def _clients(world: World, facts: ServiceFacts, serving: set[str], outside: str) -> Iterator[_Place]:
    yield _Place(0, outside)
    endpoints = {each.ip for port in facts.ports() for each in facts.endpoints(port)}
    here = next((each for each in world.nodes if each in serving), "")
    there = next((each for each in world.nodes if each not in serving), "")
    there = there or next((each for each in world.nodes if each != here), "")
    for column, node in ((1, here), (2, there)):
        if node:
            pods = (
                each
                for each in world.pods_on(node)
                if not each.host_network and each.addresses and not endpoints & set(each.addresses)
            )
            pod = next(pods, None)
            yield _Place(column, f"pod/{pod}" if pod is not None else f"pod@{node}")
    for ip in sorted(endpoints):
        if (server := world.pod_of_address(ip)) is not None:
            yield _Place(3, f"pod/{server}")
            break
    for column, node in ((4, here), (5, there)):
        if node:
            yield _Place(column, f"node/{node}")


def _ways(world: World, facts: ServiceFacts, client: str) -> Iterable[Way]:
    question = Question(f"svc/{facts.name}", facts.namespace, (client,))
    try:
        return Explanation(world, question).ways()
    except (UnknownTarget, UnknownClient):
        return ()


def _key(world: World, way: Way, serving: set[str]) -> tuple[str, str, int, str] | None:
    """The row of a way; of node ports, there is one for nodes with an endpoint and one for the others."""
    if way.frontend in ("Ingress", "ExternalName"):
        return None
    where = ""
    if way.frontend == "NodePort":
        node = next((n.name for n in world.nodes.values() if way.address in map(str, n.addresses)), "")
        where = "server's node" if node in serving else "other node"
    return way.frontend, where, way.port, way.protocol


def _is_external(world: World, way: Way) -> bool:
    """Whether it is dialled at a node's ExternalIP, as clients outside do."""
    node = world.nodes.get(way.outcomes[0].enters) if way.frontend == "NodePort" else None
    return node is not None and way.address in map(str, node.external[:2])


def _policy(facts: ServiceFacts, frontend: str) -> str:
    if frontend == "ClusterIP":
        local = text(facts.spec, "internalTrafficPolicy") == "Local"
        return "internal Local" if local else "Cluster"
    if facts.local:
        return "Local"
    kept = is_true(facts.annotations.get(PRESERVE_CLIENT_IP_ANNOTATION, ""))
    return "Cluster, kept" if kept else "Cluster"


def _cell(way: Way, facts: ServiceFacts) -> Cell:
    words = dict.fromkeys(in_words(replace(way, outcomes=(each,))) for each in way.outcomes)
    host = bracketed(way.address)
    is_address = way.frontend != "Hostname" and not way.address.startswith("<")
    return Cell(
        seen=" or ".join(words),
        dispositions=tuple(dict.fromkeys(str(each.disposition) for each in way.outcomes)),
        client=way.client,
        ask=Ask(
            target=f"{host}:{way.port}" if is_address else f"svc/{facts.name}",
            namespace=facts.namespace,
            clients=(_full(way.client, facts.namespace),),
        ),
    )


def _full(client: str, namespace: str) -> str:
    """A client's name, whichever namespace a question is asked in."""
    kind, slash, rest = client.partition("/")
    return f"pod/{namespace}/{rest}" if slash and kind == "pod" and "/" not in rest else client
