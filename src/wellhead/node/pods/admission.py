"""Whether the node takes a pod that it was given.

The scheduler gives a node no pod that it can't take; whoever names the node in the pod's spec may.
Source: pkg/kubelet/lifecycle/predicate.go of v1.37, of which the host ports are checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from wellhead.api.meta import Obj
from wellhead.node.pods import spec

_PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"

_Port = tuple[str, str, int]


@dataclass(frozen=True)
class Refusal:
    """`reason` and `message` go into the pod's status and an event."""

    reason: str
    message: str


def refusal(pod: Obj, others: Iterable[Obj]) -> Refusal | None:
    """Why the node doesn't take the pod beside those that it has taken, if so."""
    wanted = list(_ports(pod))
    held = [port for other in others for port in _ports(other)] if wanted else []
    if any(_in_the_way(one, other) for one in wanted for other in held):
        return Refusal("NodePorts", _PORTS)
    return None


def _ports(pod: Obj) -> Iterator[_Port]:
    """(host IP, protocol, port) of each host port."""
    sidecars = [each for each in spec.init_containers(pod) if spec.is_sidecar(each)]
    for container in (*spec.containers(pod), *sidecars):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "", port.get("protocol") or "TCP", port["hostPort"]


def _in_the_way(one: _Port, other: _Port) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or _is_any(one[0]) or _is_any(other[0]))


def _is_any(ip: str) -> bool:
    return not ip or ip_address(ip).is_unspecified
