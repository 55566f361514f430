"""The ports of a Service on one pod."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.types.endpointslice import EndpointPort
from wellhead.api.types.pod import Container, Pod
from wellhead.api.types.service import Service, ServicePort


@dataclass(frozen=True, order=True)
class Port:
    """An entry of an EndpointSlice's `ports`."""

    name: str
    port: int | None
    protocol: str
    app_protocol: str | None = None

    def to_object(self) -> EndpointPort:
        obj: EndpointPort = {"name": self.name, "protocol": self.protocol}
        if self.port is not None:
            obj["port"] = self.port
        if self.app_protocol is not None:
            obj["appProtocol"] = self.app_protocol
        return obj

    @staticmethod
    def from_object(obj: EndpointPort) -> Port:
        return Port(
            obj.get("name") or "", obj.get("port"), obj.get("protocol") or "TCP", obj.get("appProtocol")
        )


Ports = tuple[Port, ...]


def ports_of(service: Service, pod: Pod) -> Ports:
    """The Service's ports as they are on this pod, sorted. A named port that the pod lacks is left out."""
    found = []
    for entry in service["spec"].get("ports") or []:
        number = _target_port(entry, pod)
        if number is not None:
            protocol = entry.get("protocol") or "TCP"
            found.append(Port(entry.get("name") or "", number, protocol, entry.get("appProtocol")))
    return tuple(sorted(found, key=lambda port: (port.name, port.port or 0, port.protocol)))


def _target_port(entry: ServicePort, pod: Pod) -> int | None:
    target = entry.get("targetPort", entry.get("port"))
    if isinstance(target, int):
        return target or entry["port"]
    protocol = entry.get("protocol") or "TCP"
    for container in _containers(pod):
        for port in container.get("ports") or []:
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _containers(pod: Pod) -> list[Container]:
    """The containers that run while the pod serves: all but ordinary init containers (KEP-753)."""
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or []), *sidecars]
