"""What a proxy needs to know of a Service object, and reading it out of one."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.services.family import (
    Family,
    IPAddress,
    IPNetwork,
    Protocol,
    addresses_of,
    networks_of,
    parse_address,
)
from wellhead.services.names import Frontend, FrontendKind, PortKey, ServiceKey

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
DEFAULT_AFFINITY_SECONDS = 10800


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service in one family, with every policy that applies to it."""

    key: PortKey
    protocol: Protocol
    port: int
    cluster_ip: IPAddress
    external_ips: tuple[IPAddress, ...]
    load_balancer_ips: tuple[IPAddress, ...]
    """Those whose packets arrive unchanged (ipMode VIP); a terminating balancer's (Proxy) are not ours."""
    node_port: int | None
    source_ranges: tuple[IPNetwork, ...]
    """Who may use the load balancer IPs; empty when everybody may."""
    internal_local: bool
    external_local: bool
    affinity_seconds: int | None

    def claims(self) -> tuple[tuple[FrontendKind, Frontend], ...]:
        """Every frontend that this port asks for."""
        family = self.key.family
        addressed = [(FrontendKind.CLUSTER_IP, self.cluster_ip)]
        addressed += [(FrontendKind.EXTERNAL_IP, each) for each in self.external_ips]
        addressed += [(FrontendKind.LOAD_BALANCER_IP, each) for each in self.load_balancer_ips]
        found = [(kind, Frontend(family, ip, self.protocol, self.port)) for kind, ip in addressed]
        if self.node_port is not None:
            found.append((FrontendKind.NODE_PORT, Frontend(family, None, self.protocol, self.node_port)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Service:
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
            cluster_ips.setdefault(Family(address.version), address)
    if not cluster_ips:
        return None
    key = ServiceKey(metadata["namespace"], metadata["name"])
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
    ranges = networks_of(family, spec.get("loadBalancerSourceRanges") or ())
    if any(each.prefixlen == 0 for each in ranges):
        ranges = ()
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    vips = (each.get("ip", "") for each in ingress if (each.get("ipMode") or "VIP") == "VIP")
    external_ips = addresses_of(family, spec.get("externalIPs") or ())
    load_balancer_ips = addresses_of(family, vips)
    return [
        ServicePort(
            key=PortKey(family, key.namespace, key.name, port.get("name") or ""),
            protocol=Protocol(port.get("protocol") or "TCP"),
            port=port["port"],
            cluster_ip=cluster_ip,
            external_ips=external_ips,
            load_balancer_ips=load_balancer_ips,
            node_port=port.get("nodePort") or None,
            source_ranges=ranges,
            internal_local=spec.get("internalTrafficPolicy") == "Local",
            external_local=spec.get("externalTrafficPolicy") == "Local",
            affinity_seconds=_affinity_seconds(spec),
        )
        for port in spec.get("ports") or ()
    ]


def _affinity_seconds(spec: Obj) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    config = spec.get("sessionAffinityConfig") or {}
    seconds: int = (config.get("clientIP") or {}).get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS
    return seconds


def _health_check_node_port(spec: Obj) -> int | None:
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        return None
    return spec.get("healthCheckNodePort") or None
