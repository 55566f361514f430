"""What a cluster's load balancers are and how they do: by Services, and by the cloud controller's /status."""

from __future__ import annotations

import http.client

import msgspec

from wellhead import ports
from wellhead.api.meta import Obj
from wellhead.linux import namespaces

_PATIENCE = 2.0  # seconds

Reports = dict[tuple[str, str], Obj]
"""What the controller says of a Service, by namespace and name: a load balancer, or the reason for none."""


class LoadBalancer(msgspec.Struct, frozen=True, rename="camel"):
    """A Service of type LoadBalancer; without addresses while it is pending.

    `nodes` says of each node whether it gets new flows ("in"), and is empty if the controller can't be asked.
    """

    namespace: str
    name: str
    addresses: tuple[str, ...]
    ports: tuple[str, ...]
    load_balancer_class: str
    client_ip: tuple[str, ...] = ()  # what a terminating proxy adds: for all ports alike, or each PORT=WAY
    nodes: dict[str, str] = {}
    reason: str = ""  # why it is pending, or not as it should be


def balancer(service: Obj, reports: Reports) -> LoadBalancer:
    """One Service's load balancer."""
    metadata = service["metadata"]
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    report = reports.get((metadata["namespace"], metadata["name"]), {})
    ways = report.get("clientIp") or {}
    told = set(ways.values())
    if len(told) > 1:
        told = {f"{port}={way}" for port, way in ways.items()}
    return LoadBalancer(
        namespace=metadata["namespace"],
        name=metadata["name"],
        addresses=tuple(each.get("ip") or each.get("hostname") or "" for each in ingress),
        ports=tuple(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in service["spec"]["ports"]),
        load_balancer_class=report.get("loadBalancerClass") or service["spec"].get("loadBalancerClass") or "",
        client_ip=tuple(sorted(told)),
        nodes={node["name"]: node["state"] for node in report.get("nodes", ())},
        reason=report.get("reason", ""),
    )


def ask(machine_pid: int) -> Reports:
    """What the controller on the machine with this first process reports; nothing if it can't be asked."""
    connection = http.client.HTTPConnection("127.0.0.1", ports.HEALTH["cloud"], timeout=_PATIENCE)
    try:
        with namespaces.inside(f"/proc/{machine_pid}/ns/net", namespaces.CLONE_NEWNET):
            connection.connect()
        connection.request("GET", "/status")
        answer = msgspec.json.decode(connection.getresponse().read())
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return {}
    finally:
        connection.close()
    found: Reports = {}
    for each in [*answer.get("loadBalancers", ()), *answer.get("refused", ())]:
        found.setdefault((each["namespace"], each["name"]), {}).update(each)
    return found
