"""What a proxy needs to know of a Service object, and reading it out of one."""

from __future__ import annotations

from sys import intern

import msgspec

from wellhead.api.forms import Form, Metadata, formed
from wellhead.api.meta import Obj
from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
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
DEFAULT_AFFINITY_SECONDS = 10800


class _Labels(msgspec.Struct, gc=False):
    proxy_name: str = msgspec.field(name=PROXY_NAME_LABEL, default="")


class _Annotations(msgspec.Struct, gc=False):
    preserve_client_ip: str | None = msgspec.field(name=PRESERVE_CLIENT_IP_ANNOTATION, default=None)


class _Metadata(Metadata, rename="camel", gc=False):
    creation_timestamp: str | None = None
    labels: _Labels | None = None
    annotations: _Annotations | None = None


class _Port(msgspec.Struct, rename="camel", gc=False):
    port: int
    name: str | None = None
    protocol: str | None = None
    node_port: int | None = None


class _ClientIP(msgspec.Struct, rename="camel", gc=False):
    timeout_seconds: int | None = None


class _AffinityConfig(msgspec.Struct, gc=False):
    client_ip: _ClientIP | None = msgspec.field(name="clientIP", default=None)


class ServiceSpec(msgspec.Struct, rename="camel", gc=False):
    """What a proxy wants to know of a Service's spec."""

    type: str | None = None
    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
    cluster_ips: list[str] | None = msgspec.field(name="clusterIPs", default=None)
    ports: list[_Port] | None = None
    external_ips: list[str] | None = msgspec.field(name="externalIPs", default=None)
    internal_traffic_policy: str | None = None
    external_traffic_policy: str | None = None
    health_check_node_port: int | None = None
    load_balancer_source_ranges: list[str] | None = None
    session_affinity: str | None = None
    session_affinity_config: _AffinityConfig | None = None


class _Ingress(msgspec.Struct, rename="camel", gc=False):
    ip: str | None = None
    ip_mode: str | None = None


class _LoadBalancer(msgspec.Struct, gc=False):
    ingress: list[_Ingress] | None = None


class _Status(msgspec.Struct, rename="camel", gc=False):
    load_balancer: _LoadBalancer | None = None


class ServiceForm(Form, gc=False):
    """What a proxy wants to know of a Service object."""

    metadata: _Metadata
    spec: ServiceSpec | None = None
    status: _Status | None = None


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


def parse_service(service: Obj | ServiceForm, proxy_name: str = "") -> Service | None:
    """Read a Service object; None when this proxy has nothing to do with it.

    That is: ExternalName, headless, not yet given a ClusterIP, or labelled for a proxy of another name than
    `proxy_name` (KEP-2086's label; the empty name means: no label). `loadBalancerClass` plays no role:
    classes divide the load balancers, not the proxies.

    Raises:
        ValueError: it isn't one.
    """
    form = formed(service, ServiceForm)
    metadata, spec = form.metadata, form.spec
    if (metadata.labels.proxy_name if metadata.labels else "") != proxy_name or spec is None:
        return None
    if spec.type == "ExternalName" or spec.cluster_ip in (None, "", "None"):
        return None
    cluster_ips: dict[Family, IPAddress] = {}
    for text in spec.cluster_ips or (spec.cluster_ip,):
        if (address := parse_address(text or "")) is not None:
            cluster_ips.setdefault(family_of(address), address)
    if not cluster_ips:
        return None
    key = ServiceKey(intern(metadata.namespace), metadata.name)
    ports: list[ServicePort] = []
    for family, cluster_ip in cluster_ips.items():
        _add_ports(ports, key, family, cluster_ip, form, spec)
    return Service(
        key,
        intern(metadata.creation_timestamp or "~"),  # sorts after every time: not created yet
        next(iter(cluster_ips)),
        tuple(ports),
        _health_check_node_port(spec),
    )


def _add_ports(
    ports: list[ServicePort],
    key: ServiceKey,
    family: Family,
    cluster_ip: IPAddress,
    form: ServiceForm,
    spec: ServiceSpec,
) -> None:
    ranges = source_ranges(spec, family)
    elsewhere = _external_addresses(family, form, spec)
    internal_local = spec.internal_traffic_policy == "Local"
    external_local = spec.external_traffic_policy == "Local"
    affinity, preserve_client_ip = affinity_seconds(spec), _preserve_client_ip(form)
    for port in spec.ports or ():
        protocol, number = parse_protocol(port.protocol), port.port
        claims = [FrontendOfKind(FrontendKind.CLUSTER_IP, Frontend(family, cluster_ip, protocol, number))]
        for kind, address in elsewhere:
            claims.append(FrontendOfKind(kind, Frontend(family, address, protocol, number)))
        if port.node_port:
            dialled = Frontend(family, None, protocol, port.node_port)
            claims.append(FrontendOfKind(FrontendKind.NODE_PORT, dialled))
        ports.append(
            ServicePort(
                PortKey(family, key.namespace, key.name, intern(port.name or "")),
                protocol,
                tuple(claims),
                ranges,
                internal_local,
                external_local,
                affinity,
                preserve_client_ip,
            )
        )


def _external_addresses(
    family: Family, form: ServiceForm, spec: ServiceSpec
) -> list[tuple[FrontendKind, IPAddress]]:
    found: list[tuple[FrontendKind, IPAddress]] = []
    if spec.external_ips:
        found += [(FrontendKind.EXTERNAL_IP, each) for each in addresses_of(family, spec.external_ips)]
    balancer = form.status.load_balancer if form.status else None
    if balancer and balancer.ingress:
        vips = [each.ip or "" for each in balancer.ingress if (each.ip_mode or "VIP") == "VIP"]
        found += [(FrontendKind.LOAD_BALANCER_IP, each) for each in addresses_of(family, vips)]
    return found


def source_ranges(spec: ServiceSpec, family: Family) -> tuple[IPNetwork, ...]:
    """Who may use a Service's load balancer IPs of a family; empty when everybody may.

    Ranges of one family say nothing about clients of the other, and a /0 is no restriction.
    """
    texts = spec.load_balancer_source_ranges
    if not texts:
        return ()
    ranges = networks_of(family, texts)
    return () if any(each.prefixlen == 0 for each in ranges) else ranges


def affinity_seconds(spec: ServiceSpec) -> int | None:
    """How long after its last new connection a client returns to the same endpoint; None: not at all."""
    if spec.session_affinity != "ClientIP":
        return None
    config = spec.session_affinity_config
    return (
        config.client_ip.timeout_seconds if config and config.client_ip else 0
    ) or DEFAULT_AFFINITY_SECONDS


def _preserve_client_ip(form: ServiceForm) -> bool | None:
    """What the annotation says. Anything but the two words that it knows is as if it weren't there."""
    annotations = form.metadata.annotations
    return {"true": True, "false": False}.get(annotations.preserve_client_ip or "") if annotations else None


def _health_check_node_port(spec: ServiceSpec) -> int | None:
    if spec.type != "LoadBalancer" or spec.external_traffic_policy != "Local":
        return None
    return spec.health_check_node_port or None
