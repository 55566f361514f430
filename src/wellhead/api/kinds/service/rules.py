"""What a valid Service is. Upstream: ValidateService… in pkg/apis/core/validation/validation.go."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import (
    dns_label,
    dns_subdomain,
    ip_address,
    parse_ip,
    port_number,
    qualified_name,
    strict_cidr,
)
from wellhead.api.kinds.service.families import is_headless, validate_family_change
from wellhead.api.kinds.targets import validate_endpoint_ip, validate_port_reference
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_labels
from wellhead.api.names import SOURCE_RANGES_ANNOTATION

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_AFFINITIES = ("ClientIP", "None")
_IP_MODES = ("Proxy", "VIP")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_MAX_AFFINITY_SECONDS = 86400
_RANGES = "spec.LoadBalancerSourceRanges"  # spelt so upstream
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"
_FIXED = "may not change once set"


def is_externally_accessible(spec: Obj) -> bool:
    """Whether the Service can be dialled from outside the cluster, so that external policies apply."""
    if spec.get("type") == "ClusterIP":
        return bool(spec.get("externalIPs"))
    return spec.get("type") in ("NodePort", "LoadBalancer")


def validate_service(service: Obj, old: Obj | None = None) -> list[Cause]:
    """A Service with defaults, before its addresses and ports are allocated."""
    spec: Obj = service["spec"]
    causes = one_of("spec.type", spec.get("type"), _TYPES)
    causes += _validate_type(spec)
    causes += _validate_ports(spec)
    causes += validate_labels(spec.get("selector"), "spec.selector")
    causes += _validate_affinity(spec)
    old_external = set(((old or {}).get("spec") or {}).get("externalIPs") or ())
    for index, text in enumerate(spec.get("externalIPs") or ()):
        if text not in old_external:
            causes += validate_endpoint_ip(text, f"spec.externalIPs[{index}]")
    causes += _validate_source_ranges(service, old)
    if spec.get("type") != "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is not None:
            causes.append(Cause.forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER))
        if spec.get("loadBalancerClass") is not None:
            causes.append(Cause.forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER))
    elif (name := spec.get("loadBalancerClass")) is not None:
        causes += [Cause.invalid("spec.loadBalancerClass", name, problem) for problem in qualified_name(name)]
    causes += _validate_policies(spec)
    if (distribution := spec.get("trafficDistribution")) is not None:
        causes += one_of("spec.trafficDistribution", distribution, _DISTRIBUTIONS)
    return causes


def validate_service_update(new: Obj, old: Obj) -> list[Cause]:
    """A Service that replaces `old`; what `old` has and may keep is filled in."""
    spec, before = new["spec"], old["spec"]
    causes = validate_family_change(spec, before)
    if spec["type"] == before["type"] == "LoadBalancer":
        name = spec.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            causes.append(Cause.invalid("spec.loadBalancerClass", name, _FIXED))
    if _checks_health(spec) and _checks_health(before):
        number = before.get("healthCheckNodePort")
        if number and spec.get("healthCheckNodePort") != number:
            causes.append(Cause.forbidden("spec.healthCheckNodePort", "field is immutable"))
    return causes + validate_service(new, old)


def validate_load_balancer_status(service: Obj) -> list[Cause]:
    """status.loadBalancer."""
    at = "status.loadBalancer.ingress"
    entries = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    if entries and service["spec"]["type"] != "LoadBalancer":
        return [Cause.forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")]
    causes: list[Cause] = []
    for index, entry in enumerate(entries):
        here = f"{at}[{index}]"
        ip, mode, host = entry.get("ip"), entry.get("ipMode"), entry.get("hostname")
        if ip:
            causes += [Cause.invalid(f"{here}.ip", ip, problem) for problem in ip_address(ip)]
            if mode is None:
                causes.append(Cause.required(f"{here}.ipMode", "must be specified when `ip` is set"))
        if mode is not None:
            if not ip:
                causes.append(Cause.forbidden(f"{here}.ipMode", "may not be specified when `ip` is not set"))
            else:
                causes += one_of(f"{here}.ipMode", mode, _IP_MODES)
        if host:
            causes += [Cause.invalid(f"{here}.hostname", host, problem) for problem in dns_subdomain(host)]
            if parse_ip(host) is not None:
                causes.append(
                    Cause.invalid(f"{here}.hostname", host, "must be a DNS name, not an IP address")
                )
    return causes


def _checks_health(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _validate_type(spec: Obj) -> list[Cause]:
    kind, headless = spec.get("type"), is_headless(spec)
    causes = []
    if not spec.get("ports") and not headless and kind != "ExternalName":
        causes.append(Cause.required("spec.ports"))
    if headless and kind in ("LoadBalancer", "NodePort"):
        causes.append(
            Cause.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
        )
    if kind == "ExternalName":
        causes += [
            Cause.forbidden(f"spec.{field}", "may not be set for ExternalName services")
            for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
            if spec.get(field)
        ]
        name = (spec.get("externalName") or "").removesuffix(".")
        if name:
            causes += [Cause.invalid("spec.externalName", name, problem) for problem in dns_subdomain(name)]
        else:
            causes.append(Cause.required("spec.externalName"))
    return causes


def _validate_ports(spec: Obj) -> list[Cause]:
    ports: Sequence[Obj] = spec.get("ports") or ()
    causes: list[Cause] = []
    names: set[str] = set()
    node_ports: set[tuple[str, int]] = set()
    numbers: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        name, number, protocol = port.get("name"), port.get("port") or 0, port["protocol"]
        if name:
            causes += [Cause.invalid(f"{at}.name", name, problem) for problem in dns_label(name)]
            if name in names:
                causes.append(Cause.duplicate(f"{at}.name", name))
            names.add(name)
        elif len(ports) > 1:
            causes.append(Cause.required(f"{at}.name"))
        causes += [Cause.invalid(f"{at}.port", number, problem) for problem in port_number(number)]
        causes += one_of(f"{at}.protocol", protocol, _PROTOCOLS)
        causes += validate_port_reference(port["targetPort"], f"{at}.targetPort")
        if (application := port.get("appProtocol")) is not None:
            causes += [
                Cause.invalid(f"{at}.appProtocol", application, problem)
                for problem in qualified_name(application)
            ]
        if node_port := port.get("nodePort"):
            if spec["type"] == "ClusterIP":
                causes.append(Cause.forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'"))
            if (protocol, node_port) in node_ports:
                # Said by upstream's allocator, not by its validation.
                causes.append(
                    Cause.invalid(f"{at}.nodePort", node_port, "provided port is already allocated")
                )
            node_ports.add((protocol, node_port))
        if (protocol, number) in numbers:
            causes.append(Cause.duplicate(at, {"port": number, "protocol": protocol}))
        numbers.add((protocol, number))
    return causes


def _validate_affinity(spec: Obj) -> list[Cause]:
    affinity = spec["sessionAffinity"]
    causes = one_of("spec.sessionAffinity", affinity, _AFFINITIES)
    if affinity == "ClientIP":
        at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            causes.append(
                Cause.invalid(at, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}")
            )
    return causes


def _source_ranges(service: Obj) -> tuple[str, Sequence[str]]:
    """Who may dial the Service, and the path where that is said: the field comes before the annotation."""
    annotation = (service["metadata"].get("annotations") or {}).get(SOURCE_RANGES_ANNOTATION)
    ranges = service["spec"].get("loadBalancerSourceRanges") or ()
    if ranges or annotation is None:
        return _RANGES, ranges
    at = f"metadata.annotations[{SOURCE_RANGES_ANNOTATION}]"
    return at, annotation.split(",") if annotation.strip() else ()


def _validate_source_ranges(service: Obj, old: Obj | None) -> list[Cause]:
    known = {text.strip() for text in _source_ranges(old)[1]} if old else set()
    at, ranges = _source_ranges(service)
    places = [at if at != _RANGES else f"{at}[{index}]" for index in range(len(ranges))]
    if at == _RANGES and not ranges:
        return []
    causes = []
    if service["spec"]["type"] != "LoadBalancer":
        causes.append(Cause.forbidden(at, _ONLY_LOAD_BALANCER))
    for place, text in zip(places, ranges, strict=True):
        if text.strip() not in known:
            causes += [Cause.invalid(place, text.strip(), problem) for problem in strict_cidr(text.strip())]
    return causes


def _validate_policies(spec: Obj) -> list[Cause]:
    causes = []
    policy = spec.get("externalTrafficPolicy")
    if policy is not None:
        if not is_externally_accessible(spec):
            causes.append(
                Cause.invalid(
                    "spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services"
                )
            )
        causes += one_of("spec.externalTrafficPolicy", policy, _POLICIES)
    if (policy := spec.get("internalTrafficPolicy")) is not None:
        causes += one_of("spec.internalTrafficPolicy", policy, _POLICIES)
    if number := spec.get("healthCheckNodePort"):
        at = "spec.healthCheckNodePort"
        if not _checks_health(spec):
            causes.append(
                Cause.invalid(
                    at,
                    number,
                    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
                )
            )
        causes += [Cause.invalid(at, number, problem) for problem in port_number(number)]
    return causes
