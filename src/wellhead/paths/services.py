"""A Service of a world, as the core of the service proxies reads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wellhead.api.names import SERVICE_NAME_LABEL, SOURCE_RANGES_ANNOTATION
from wellhead.ip import Family, IPAddress, IPNetwork, Protocol, networks_of, parse_address
from wellhead.paths.codes import Code
from wellhead.paths.reading import Obj, addresses, number, table, tables, text, texts
from wellhead.paths.slices import sane_ports, slices_of_endpoints, slices_of_pods
from wellhead.paths.way import Decision, Note
from wellhead.paths.world import World, claimed_addresses
from wellhead.services.endpointslice import Endpoint, EndpointAddress, EndpointSlice, parse_endpoint_slice
from wellhead.services.names import FrontendOfKind, ServiceKey
from wellhead.services.service import PROXY_NAME_LABEL, Service, ServicePort, parse_service
from wellhead.services.service_map import ServiceMap

_PROTOCOLS = {each.value for each in Protocol}
_UNALLOCATED = {Family.IPV4: "0.0.0.1", Family.IPV6: "::fffe"}
"""Stand for a ClusterIP that the API server would give: manifests that never saw one have none."""


@dataclass(frozen=True)
class BalancerAddress:
    """One entry of `status.loadBalancer.ingress`."""

    ip: IPAddress | None
    hostname: str
    mode: str
    """VIP, Proxy or empty."""


@dataclass(frozen=True)
class Reading:
    """What a service proxy makes of Services: what older ones don't know is left out."""

    ip_mode: bool = True
    terminating: bool = True
    internal_policy: bool = True
    external_ips_local: bool = True
    proxy_name: str = ""


class ServiceFacts:
    """One Service, its endpoints, and whoever claims the same addresses."""

    def __init__(self, world: World, obj: Obj) -> None:
        self.world = world
        self.obj = obj
        self.namespace = text(obj, "metadata", "namespace") or "default"
        self.name = text(obj, "metadata", "name")
        self.spec = table(obj, "spec")
        self.type = text(self.spec, "type") or "ClusterIP"
        self.annotations = {k: str(v) for k, v in table(obj, "metadata", "annotations").items()}
        self._maps: dict[Reading, ServiceMap] = {}
        self._by_node: dict[Family, dict[str, int]] = {}

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def title(self) -> str:
        return f"Service {self}"

    def decision(self, field: str, value: str = "") -> Decision:
        return Decision(object=self.title, field=field, value=value or text(self.obj, *field.split(".")))

    @property
    def local(self) -> bool:
        return text(self.spec, "externalTrafficPolicy") == "Local"

    @property
    def headless(self) -> bool:
        return text(self.spec, "clusterIP") == "None"

    @property
    def key(self) -> ServiceKey:
        return ServiceKey(self.namespace, self.name)

    @cached_property
    def balancer_addresses(self) -> tuple[BalancerAddress, ...]:
        """Where the load balancer says that it can be reached."""
        return tuple(
            BalancerAddress(parse_address(text(each, "ip")), text(each, "hostname"), text(each, "ipMode"))
            for each in tables(self.obj, "status", "loadBalancer", "ingress")
        )

    @cached_property
    def source_ranges(self) -> list[str]:
        return texts(self.spec, "loadBalancerSourceRanges")

    def annotated_ranges(self, family: Family) -> tuple[IPNetwork, ...]:
        """What the field's forerunner says, which balancers heed and nodes don't."""
        if self.source_ranges:
            return ()
        return networks_of(family, self.annotations.get(SOURCE_RANGES_ANNOTATION, "").split(","))

    @cached_property
    def slices_known(self) -> bool:
        """Whether anything tells the Service's endpoints."""
        return bool(self.endpoint_slices) or self.world.has_all("EndpointSlice")

    @cached_property
    def endpoint_slices(self) -> list[Obj]:
        """Its EndpointSlices; where none were read, made of the pods that it selects, or of Endpoints."""
        found = self.world.slices(self.namespace, self.name)
        if found or self.world.entries("EndpointSlice"):
            return found
        if (endpoints := self.world.get("Endpoints", self.namespace, self.name)) is not None:
            return slices_of_endpoints(endpoints, self)
        return slices_of_pods(self)

    def service_map(self, reading: Reading) -> ServiceMap:
        """The core's map of it and of whoever claims the same addresses."""
        if reading not in self._maps:
            result = ServiceMap()
            rivals = {id(each): each for each in self._rivals()}
            for obj in (self.obj, *rivals.values()):
                if (found := core_service(obj, reading)) is not None:
                    result.set_service(found.key, found)
            for each in self.endpoint_slices:
                if (parsed := _core_slice(each, self.key, reading)) is not None:
                    result.set_slice(parsed.service.namespace, parsed.name, parsed)
            self._maps[reading] = result
        return self._maps[reading]

    def _rivals(self) -> list[Obj]:
        found = [
            other
            for address in claimed_addresses(self.obj)
            for other in self.world.services_at(address)
            if other is not self.obj
        ]
        for each in tables(self.spec, "ports"):
            if port := number(each, "nodePort"):
                found += [o for o in self.world.services_at_node_port(port) if o is not self.obj]
        return found

    @cached_property
    def own_reading(self) -> Reading:
        """As the proxy reads it that it is for."""
        return Reading(proxy_name=text(self.obj, "metadata", "labels", PROXY_NAME_LABEL))

    def ports(self, reading: Reading | None = None) -> tuple[ServicePort, ...]:
        """Its ports, one for each family."""
        found = self.service_map(reading or self.own_reading).service(self.key)
        return found.ports if found is not None else ()

    def held(self, port: ServicePort, reading: Reading | None = None) -> tuple[FrontendOfKind, ...]:
        return self.service_map(reading or self.own_reading).held(port)

    def endpoints(self, port: ServicePort, reading: Reading | None = None) -> dict[EndpointAddress, Endpoint]:
        """Every endpoint of a port."""
        return dict(self.service_map(reading or self.own_reading).endpoints(port))

    def endpoints_by_node(self, family: Family) -> dict[str, int]:
        """How many ready endpoints of its ports each node has."""
        if family not in self._by_node:
            counts: dict[str, int] = {}
            for port in self.ports():
                if port.key.family is family:
                    for each in self.endpoints(port).values():
                        if each.ready and each.node:
                            counts[each.node] = counts.get(each.node, 0) + 1
            self._by_node[family] = counts
        return self._by_node[family]

    def port_numbers(self) -> list[tuple[int, Protocol, str]]:
        """(number, protocol, name) of its ports."""
        return [
            (found, Protocol(text(each, "protocol") or "TCP"), text(each, "name"))
            for each in sane_ports(self.spec)
            if (found := number(each, "port"))
        ]

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What is wrong with the object itself."""
        found: list[Note] = []
        raw = self.spec.get("ports")
        if raw is not None and len(sane_ports(self.spec)) < len(raw if isinstance(raw, list) else [raw]):
            sentence = f"{self.title} has a port that isn't one; it is left out."
            found.append(
                Note(code=Code.BAD_OBJECT, sentence=sentence, decided_by=self.decision("spec.ports", "-"))
            )
        return tuple(found)


def is_unallocated(address: IPAddress | None) -> bool:
    """Whether an address only stands for one that the API server would give."""
    return address is not None and str(address) in _UNALLOCATED.values()


def core_service(obj: Obj, reading: Reading | None = None) -> Service | None:
    """A Service as the core reads it; None where a proxy has nothing to do with it."""
    reading = reading or Reading()
    spec = table(obj, "spec")
    ips = [text(spec, "clusterIP"), *texts(spec, "clusterIPs")]
    kept = [str(each) for each in dict.fromkeys(addresses([each for each in ips if each]))]
    kind = text(spec, "type") or "ClusterIP"
    if not kept and "None" not in ips and kind != "ExternalName":
        wanted = texts(spec, "ipFamilies") or ["IPv4"]
        kept = [_UNALLOCATED[Family.IPV6 if each == "IPv6" else Family.IPV4] for each in wanted]
    clean: Obj = {
        "metadata": {
            "name": text(obj, "metadata", "name"),
            "namespace": text(obj, "metadata", "namespace") or "default",
            "labels": {k: str(v) for k, v in table(obj, "metadata", "labels").items()},
            "annotations": {k: str(v) for k, v in table(obj, "metadata", "annotations").items()},
            "creationTimestamp": text(obj, "metadata", "creationTimestamp"),
        },
        "spec": {
            "type": kind,
            "clusterIP": kept[0] if kept else "None",
            "clusterIPs": kept,
            "ports": [_clean_port(each, kind) for each in sane_ports(spec)],
            "externalIPs": texts(spec, "externalIPs"),
            "loadBalancerSourceRanges": texts(spec, "loadBalancerSourceRanges"),
            "internalTrafficPolicy": text(spec, "internalTrafficPolicy") if reading.internal_policy else "",
            "externalTrafficPolicy": text(spec, "externalTrafficPolicy"),
            "sessionAffinity": text(spec, "sessionAffinity"),
            "sessionAffinityConfig": {
                "clientIP": {
                    "timeoutSeconds": number(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds")
                }
            },
            "healthCheckNodePort": number(spec, "healthCheckNodePort"),
        },
        "status": {"loadBalancer": {"ingress": _clean_ingress(obj, reading)}},
    }
    try:
        return parse_service(clean, reading.proxy_name)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _clean_port(port: Obj, kind: str) -> Obj:
    found = {
        "name": text(port, "name"),
        "protocol": text(port, "protocol") or "TCP",
        "port": number(port, "port"),
        "nodePort": number(port, "nodePort") if 0 < (number(port, "nodePort") or 0) < 65536 else None,
    }
    return found if kind != "ClusterIP" else found | {"nodePort": None}


def _clean_ingress(obj: Obj, reading: Reading) -> list[Obj]:
    return [
        {"ip": text(each, "ip"), "ipMode": (text(each, "ipMode") if reading.ip_mode else "") or "VIP"}
        for each in tables(obj, "status", "loadBalancer", "ingress")
    ]


def _core_slice(obj: Obj, service: ServiceKey, reading: Reading) -> EndpointSlice | None:
    labels = {k: str(v) for k, v in table(obj, "metadata", "labels").items()}
    clean: Obj = {
        "metadata": {
            "name": text(obj, "metadata", "name") or f"slice-{id(obj)}",
            "namespace": service.namespace,
            "labels": labels | {SERVICE_NAME_LABEL: service.name},
        },
        "addressType": text(obj, "addressType") or "IPv4",
        "ports": [
            {"name": text(e, "name"), "protocol": text(e, "protocol") or "TCP", "port": number(e, "port")}
            for e in tables(obj, "ports")
            if (text(e, "protocol") or "TCP") in _PROTOCOLS
        ],
        "endpoints": [_clean_endpoint(each, reading) for each in tables(obj, "endpoints")],
    }
    try:
        return parse_endpoint_slice(clean)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _clean_endpoint(endpoint: Obj, reading: Reading) -> Obj:
    conditions = table(endpoint, "conditions")
    serving = conditions.get("serving")
    if conditions.get("terminating") is True and not reading.terminating:
        serving = False
    hints = table(endpoint, "hints")
    return {
        "addresses": texts(endpoint, "addresses"),
        "nodeName": text(endpoint, "nodeName"),
        "conditions": {
            "ready": conditions.get("ready"),
            "serving": serving,
            "terminating": conditions.get("terminating"),
        },
        "hints": {
            kind: [{"name": text(each, "name")} for each in tables(hints, kind)]
            for kind in ("forZones", "forNodes")
        },
    }
