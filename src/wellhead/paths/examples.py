"""Manifests that no cluster has seen yet: what is missing is filled in by examples, and never shown as if
it were there.

Without any Node, there are two: one with an endpoint and one without. A Service that no API server gave
addresses to gets some out of 0.0.0.0/8, which are words again before anybody reads them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from wellhead.api.names import SERVICE_NAME_LABEL
from wellhead.paths.codes import Code
from wellhead.paths.reading import Obj, number, table, tables, text
from wellhead.paths.way import Note, Report
from wellhead.paths.world import Decoded, Entry, World

HERE, ELSEWHERE = "a-node", "another-node"
_WORDS = {
    "0.0.0": "<ClusterIP>",
    "0.0.1.1": f"<{HERE}>",
    "0.0.1.2": f"<{ELSEWHERE}>",
    "0.0.2": "<endpoint>",
    "0.0.3": "<load balancer>",
}
_PATTERN = re.compile(r"(?<![\d.:])(?:0\.0\.1\.[12]|0\.0\.[023]\.\d{1,3})(?![\d.])")
_ADDRESSES = ("source", "clientAddress")
_FIRST_NODE_PORT = 30000
_PORTLESS = ("EndpointSlice", "Endpoints", "Pod")


def with_examples(world: World) -> World | None:
    """The world with examples of what is missing; None where there is a cluster: any Node among the
    objects."""
    if world.entries("Node") or not world.entries("Service"):
        return None
    entries: list[Entry] = [each for kind in world.kinds() - {"Service"} for each in world.entries(kind)]
    named = not any(world.entries(kind) for kind in _PORTLESS)
    entries += (
        [Decoded(_node(HERE, "0.0.1.1")), Decoded(_node(ELSEWHERE, "0.0.1.2"))] if named else _nodes(world)
    )
    for index, entry in enumerate(world.entries("Service"), 1):
        service = _service(entry.obj, index % 250)
        entries.append(Decoded(service))
        if named and table(service, "spec", "selector"):
            entries.append(Decoded(_endpoints(service)))
    return World(entries, world.unread)


def _nodes(world: World) -> list[Entry]:
    """Nodes by the names that pods and endpoints give."""
    names = {text(each, "spec", "nodeName") for each in world.all("Pod")}
    for each in world.all("EndpointSlice"):
        names |= {text(endpoint, "nodeName") for endpoint in tables(each, "endpoints")}
    found = sorted(names - {""}) or [HERE]
    return [Decoded(_node(each, "")) for each in [*found, ELSEWHERE]]


def _node(name: str, address: str) -> Obj:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return {"kind": "Node", "metadata": {"name": name}, "status": {"addresses": addresses}}


def _service(obj: Obj, index: int) -> Obj:
    """The Service with what an API server and a load balancer would give it, if it has nothing of the
    kind."""
    spec = table(obj, "spec")
    if text(spec, "clusterIP"):
        return obj
    kind = text(spec, "type") or "ClusterIP"
    ports = [
        each
        if number(each, "nodePort") or kind == "ClusterIP"
        else each | {"nodePort": _FIRST_NODE_PORT + 10 * index + place}
        for place, each in enumerate(tables(spec, "ports"))
    ]
    found = obj | {"spec": spec | {"ports": ports}}
    if kind != "ExternalName":
        found["spec"] |= {"clusterIP": f"0.0.0.{index}", "clusterIPs": [f"0.0.0.{index}"]}
    if kind == "LoadBalancer" and not tables(obj, "status", "loadBalancer", "ingress"):
        found["status"] = {"loadBalancer": {"ingress": [{"ip": f"0.0.3.{index}"}]}}
    return found


def _endpoints(service: Obj) -> Obj:
    name, namespace = text(service, "metadata", "name"), text(service, "metadata", "namespace")
    ports = [
        {"name": text(each, "name"), "protocol": text(each, "protocol") or "TCP", "port": _target(each)}
        for each in tables(service, "spec", "ports")
    ]
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {SERVICE_NAME_LABEL: name}},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": ["0.0.2.1"], "nodeName": HERE, "conditions": {"ready": True}}],
    }


def _target(port: Obj) -> int:
    return number(port, "targetPort") or number(port, "port") or 80


def in_words(report: Report) -> Report:
    """The report with words for addresses that are examples."""
    sentence = "There are no Nodes among the objects: example nodes are taken, with an endpoint and without."
    assumed = Note(code=Code.ASSUMES_EXAMPLES, sentence=sentence, do="Add the cluster's objects.")
    ways = tuple(msgspec.structs.replace(each, notes=(assumed, *each.notes)) for each in report.ways)
    written = msgspec.to_builtins(msgspec.structs.replace(report, ways=ways))
    return msgspec.convert(_replaced(written, ""), Report)


def _replaced(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(each, name) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(each, key) for each in value]
    if not isinstance(value, str):
        return value
    if key in _ADDRESSES and _PATTERN.fullmatch(value):
        return None
    return _PATTERN.sub(_word, value)


def _word(found: re.Match[str]) -> str:
    return _WORDS.get(found[0]) or _WORDS[found[0].rpartition(".")[0]]
