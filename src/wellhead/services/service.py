"""What a proxy needs to know of a Service object, and reading it out of one."""

from __future__ import annotations

from collections.abc import Iterator
from sys import intern

import msgspec

from wellhead.api.meta import Obj
from wellhead.ip import (
    Family,
    IPAddress,
    IPNetwork,
    Protocol,
    addresses_of,
    family_of,
    networks_of,
    parse_address,
    parse_protocol,
)
from wellhead.services.names import Frontend, FrontendKind, FrontendOfKind, PortKey, ServiceKey

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
PRESERVE_CLIENT_IP_ANNOTATION = "wellhead.dev/preserve-client-ip"
DEFAULT_AFFINITY_SECONDS = 10800


class ServicePort(msgspec.Struct, frozen=True, gc=False):
    """One port of a Service in one family, with every policy that applies to it."""

    key: PortKey
    protocol: Protocol
    claims: tuple[FrontendOfKind, ...]
    """Every frontend that it asks for, in order of their kinds. Of load balancer IPs, those whose packets
    arrive unchanged (ipMode VIP); a terminating balancer's (Proxy) are not ours."""
    source_ranges: tuple[IPNetwork, ...]
    """Who may use the load balancer IPs; empty when everybody may."""
    internal_local: bool
    external_local: bool
    affinity_seconds: int | None
    preserve_client_ip: bool | None = None
    """Whether clients outside keep their address under the external Cluster policy too, where replies can be
    had back through the node that they came in by; None: as the proxy is configured."""

    def addresses(self, kind: FrontendKind) -> tuple[IPAddress, ...]:
        """The addresses that it asks for as a `kind`."""
        return tuple(
            frontend.address
            for each, frontend in self.claims
            if each is kind and frontend.address is not None
        )


class Service(msgspec.Struct, frozen=True, gc=False):
    """A Service that a proxy serves."""

    key: ServiceKey
    created: str
    """metadata.creationTimestamp (RFC 3339, UTC, whole seconds: its text sorts as its time)."""
    primary_family: Family
    ports: tuple[ServicePort, ...]
    health_check_node_port: int | None


def parse_service(service: Obj, proxy_name: str = "") -> Service | None:
    """Read a Service object; None when this proxy has nothing to do with it.

    That is: ExternalName, headless, not yet given a ClusterIP, or labelled for a proxy of another name than
    `proxy_name` (KEP-2086's label; the empty name means: no label). `loadBalancerClass` plays no role:
    classes divide the load balancers, not the proxies.
    """
    metadata, spec = service["metadata"], service.get("spec", {})
    if (metadata.get("labels") or {}).get(PROXY_NAME_LABEL, "") != proxy_name:
        return None
    if spec.get("type") == "ExternalName" or spec.get("clusterIP", "None") in ("", "None"):
        return None
    cluster_ips: dict[Family, IPAddress] = {}
    for text in spec.get("clusterIPs") or [spec["clusterIP"]]:
        if (address := parse_address(text)) is not None:
            cluster_ips.setdefault(family_of(address), address)
    if not cluster_ips:
        return None
    key = ServiceKey(intern(metadata["namespace"]), metadata["name"])
    ports: list[ServicePort] = []
    for family, cluster_ip in cluster_ips.items():
        ports += _ports(key, family, cluster_ip, service)
    return Service(
        key=key,
        created=metadata.get("creationTimestamp") or "~",  # sorts after every time: not created yet
        primary_family=next(iter(cluster_ips)),
        ports=tuple(ports),
        health_check_node_port=_health_check_node_port(spec),
    )


def _ports(key: ServiceKey, family: Family, cluster_ip: IPAddress, service: Obj) -> list[ServicePort]:
    spec = service["spec"]
    ranges = source_ranges(spec, family)
    addresses = [(FrontendKind.CLUSTER_IP, cluster_ip), *_external_addresses(family, service)]
    preserve_client_ip = _preserve_client_ip(service)
    found: list[ServicePort] = []
    for port in spec.get("ports") or ():
        protocol = parse_protocol(port.get("protocol"))
        claims = [
            FrontendOfKind(kind, Frontend(family, address, protocol, port["port"]))
            for kind, address in addresses
        ]
        if node_port := port.get("nodePort"):
            claims.append(FrontendOfKind(FrontendKind.NODE_PORT, Frontend(family, None, protocol, node_port)))
        found.append(
            ServicePort(
                key=PortKey(family, key.namespace, key.name, intern(port.get("name") or "")),
                protocol=protocol,
                claims=tuple(claims),
                source_ranges=ranges,
                internal_local=spec.get("internalTrafficPolicy") == "Local",
                external_local=spec.get("externalTrafficPolicy") == "Local",
                affinity_seconds=affinity_seconds(spec),
                preserve_client_ip=preserve_client_ip,
            )
        )
    return found


def _external_addresses(family: Family, service: Obj) -> Iterator[tuple[FrontendKind, IPAddress]]:
    if texts := service["spec"].get("externalIPs"):
        for ip in addresses_of(family, texts):
            yield FrontendKind.EXTERNAL_IP, ip
    if ingress := service.get("status", {}).get("loadBalancer", {}).get("ingress"):
        vips = (each.get("ip", "") for each in ingress if (each.get("ipMode") or "VIP") == "VIP")
        for ip in addresses_of(family, vips):
            yield FrontendKind.LOAD_BALANCER_IP, ip


def source_ranges(spec: Obj, family: Family) -> tuple[IPNetwork, ...]:
    """Who may use a Service's load balancer IPs of a family; empty when everybody may.

    Ranges of one family say nothing about clients of the other, and a /0 is no restriction.
    """
    texts = spec.get("loadBalancerSourceRanges")
    ranges = networks_of(family, texts) if texts else ()
    return () if any(each.prefixlen == 0 for each in ranges) else ranges


def affinity_seconds(spec: Obj) -> int | None:
    """How long after its last new connection a client returns to the same endpoint; None: not at all."""
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    config = spec.get("sessionAffinityConfig") or {}
    seconds: int = (config.get("clientIP") or {}).get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS
    return seconds


def _preserve_client_ip(service: Obj) -> bool | None:
    """What the annotation says. Anything but the two words that it knows is as if it weren't there."""
    annotations = service["metadata"].get("annotations") or {}
    return {"true": True, "false": False}.get(annotations.get(PRESERVE_CLIENT_IP_ANNOTATION, ""))


def _health_check_node_port(spec: Obj) -> int | None:
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        return None
    return spec.get("healthCheckNodePort") or None
