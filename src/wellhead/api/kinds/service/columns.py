"""Services."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer


def _external_ips(service: Obj) -> str:
    spec = service["spec"]
    external = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or cells.NONE)
    if spec.get("type") != "LoadBalancer":
        return cells.joined(external)
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    given = {entry.get("ip") or entry.get("hostname") or "" for entry in balancer.get("ingress") or ()}
    return ",".join([*sorted(given - {""}), *external]) or "<pending>"


def _port(port: Obj) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def _cells(service: Obj, now: datetime) -> list[Cell]:
    spec = service["spec"]
    return [
        cells.name(service),
        spec.get("type", ""),
        spec.get("clusterIP") or cells.NONE,
        _external_ips(service),
        cells.joined([_port(port) for port in spec.get("ports") or ()]),
        cells.created(service, now),
        cells.labels(spec.get("selector")),
    ]


PRINTER = Printer(
    (
        NAME,
        Column("Type"),
        Column("Cluster-IP"),
        Column("External-IP"),
        Column("Port(s)"),
        AGE,
        Column("Selector", wide=True),
    ),
    _cells,
)
