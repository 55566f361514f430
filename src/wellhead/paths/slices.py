"""EndpointSlices where none were read: as the controllers would make them of Endpoints, or of the pods."""

from __future__ import annotations

import typing
from typing import Any

from wellhead.ip import Family, Protocol, parse_address
from wellhead.paths.reading import Obj, is_true, number, table, tables, text
from wellhead.paths.world import World

_PROTOCOLS = {each.value for each in Protocol}


class _Facts(typing.Protocol):
    """The Service whose endpoints are asked for."""

    @property
    def world(self) -> World: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> Obj: ...


def sane_ports(spec: Obj) -> list[Obj]:
    """The ports of a Service's spec that are ports."""
    return [
        each
        for each in tables(spec, "ports")
        if 0 < (number(each, "port") or 0) < 65536 and (text(each, "protocol") or "TCP") in _PROTOCOLS
    ]


def slices_of_endpoints(endpoints: Obj, facts: _Facts) -> list[Obj]:
    """What the controller that mirrors Endpoints would make of them."""
    result: list[Obj] = []
    for index, subset in enumerate(tables(endpoints, "subsets")):
        listed = [(each, True) for each in tables(subset, "addresses")]
        listed += [(each, False) for each in tables(subset, "notReadyAddresses")]
        result += _slices(
            facts,
            index,
            tables(subset, "ports"),
            [
                (text(each, "ip"), text(each, "nodeName"), ready, table(each, "targetRef"))
                for each, ready in listed
            ],
        )
    return result


def slices_of_pods(facts: _Facts) -> list[Obj]:
    """What the endpoint slice controller would make of the pods that are there."""
    selector = table(facts.spec, "selector")
    if not selector:
        return []
    result: list[Obj] = []
    chosen: list[Obj] = [
        each
        for each in facts.world.all("Pod")
        if (text(each, "metadata", "namespace") or "default") == facts.namespace
        and all(text(each, "metadata", "labels", key) == str(value) for key, value in selector.items())
    ]
    for index, pod in enumerate(chosen):
        ports = [
            {"name": text(p, "name"), "protocol": text(p, "protocol") or "TCP", "port": _target(p, pod)}
            for p in sane_ports(facts.spec)
        ]
        ready = any(
            text(each, "type") == "Ready" and text(each, "status") == "True"
            for each in tables(pod, "status", "conditions")
        )
        published = is_true(text(facts.spec, "publishNotReadyAddresses"))
        listed = tables(pod, "status", "podIPs") or [{"ip": text(pod, "status", "podIP")}]
        result += _slices(
            facts,
            index,
            ports,
            [(text(each, "ip"), text(pod, "spec", "nodeName"), ready or published, {}) for each in listed],
        )
    return result


def _target(port: Obj, pod: Obj) -> int | None:
    wanted: Any = port.get("targetPort") or port.get("port")
    if isinstance(wanted, int):
        return wanted
    for container in tables(pod, "spec", "containers"):
        for each in tables(container, "ports"):
            if text(each, "name") == wanted:
                return number(each, "containerPort")
    return number(port, "targetPort")


def _slices(
    facts: _Facts, index: int, ports: list[Obj], listed: list[tuple[str, str, bool, Obj]]
) -> list[Obj]:
    result: list[Obj] = []
    for family in Family:
        endpoints = [
            {
                "addresses": [ip],
                "nodeName": node,
                "conditions": {"ready": ready, "serving": ready, "terminating": False},
                "targetRef": reference,
            }
            for ip, node, ready, reference in listed
            if (address := parse_address(ip)) is not None and address.version == family
        ]
        if endpoints:
            result.append(
                {
                    "metadata": {
                        "name": f"{facts.name}-{index}-{family.value}",
                        "namespace": facts.namespace,
                    },
                    "addressType": f"IPv{family.value}",
                    "ports": ports,
                    "endpoints": endpoints,
                }
            )
    return result
