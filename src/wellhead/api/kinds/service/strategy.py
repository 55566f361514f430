"""Services: defaults, and what an update keeps or drops. What a Service is given: see `allocation`.

Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/service/{strategy.go,storage/storage.go}.
"""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.kinds.service.allocation import needs_health_check_port, needs_node_ports
from wellhead.api.kinds.service.families import agree_on_cluster_ips, decide_families, has_addresses
from wellhead.api.kinds.service.rules import (
    is_externally_accessible,
    validate_load_balancer_status,
    validate_service,
    validate_service_update,
)
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings.services import of_service

_AFFINITY_SECONDS = 10800  # 3 h


class ServiceStrategy(Strategy):
    repeats_warnings = True
    name_check = staticmethod(dns_label)
    created_by_update = True
    returned_when_deleted = True

    def warnings(self, obj: Obj) -> list[str]:
        return list(of_service(obj))

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        spec["type"] = spec.get("type") or "ClusterIP"
        spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
        for field in _CLEARED_IF_EMPTY:
            if field in spec and not spec[field]:
                del spec[field]
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        elif spec["sessionAffinity"] == "ClientIP":
            client_ip = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            client_ip.setdefault("timeoutSeconds", _AFFINITY_SECONDS)
        for port in spec.get("ports") or ():
            port["protocol"] = port.get("protocol") or "TCP"
            port["targetPort"] = port.get("targetPort") or port.get("port", 0)
            if not port.get("nodePort"):
                port.pop("nodePort", None)
            if not port.get("name"):
                port.pop("name", None)
        if is_externally_accessible(spec):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        obj.setdefault("status", {}).setdefault("loadBalancer", {})

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"loadBalancer": {}}
        if obj["spec"]["type"] == "ExternalName":
            obj["spec"].pop("internalTrafficPolicy", None)
        agree_on_cluster_ips(obj["spec"], None)
        decide_families(obj, None, context.ip_families)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        spec, before = new["spec"], old["spec"]
        _keep_allocated(spec, before)
        agree_on_cluster_ips(spec, before)
        decide_families(new, old, context.ip_families)
        _drop_what_the_type_has_no_use_for(spec, before)
        if spec["type"] != "LoadBalancer":
            new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}

    def validate_create(self, obj: Obj) -> list[Cause]:
        return validate_service(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_service_update(new, old)

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        balancer = new.setdefault("status", {}).setdefault("loadBalancer", {})
        for ingress in balancer.get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_load_balancer_status(new)


_CLEARED_IF_EMPTY = (
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "externalIPs",
    "externalName",
    "healthCheckNodePort",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "ports",
)


def _keep_allocated(spec: Obj, before: Obj) -> None:
    """What the client left out stays as it was allocated."""
    if has_addresses(spec) and has_addresses(before) and not spec.get("clusterIP"):
        spec["clusterIP"] = before.get("clusterIP")
    if needs_node_ports(spec) and needs_node_ports(before):
        # By the ports' names: all else may have changed. What another port took is not kept.
        allocated = {port.get("name"): port.get("nodePort") for port in before.get("ports") or ()}
        taken = _node_ports(spec)
        for port in spec.get("ports") or ():
            number = allocated.get(port.get("name"))
            if "nodePort" not in port and number and number not in taken:
                port["nodePort"] = number
    if needs_health_check_port(spec) and needs_health_check_port(before) and "healthCheckNodePort" in before:
        spec.setdefault("healthCheckNodePort", before["healthCheckNodePort"])


def _is_load_balancer(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer"


# Fields, and which Services have a use for them.
_USES: tuple[tuple[str, Callable[[Obj], bool]], ...] = (
    ("clusterIP", has_addresses),
    ("clusterIPs", has_addresses),
    ("ipFamilies", has_addresses),
    ("ipFamilyPolicy", has_addresses),
    ("internalTrafficPolicy", has_addresses),
    ("healthCheckNodePort", needs_health_check_port),
    ("allocateLoadBalancerNodePorts", _is_load_balancer),
    ("loadBalancerClass", _is_load_balancer),
    ("externalTrafficPolicy", is_externally_accessible),
)


def _drop_what_the_type_has_no_use_for(spec: Obj, before: Obj) -> None:
    """What the client left as it was and the new type can't have goes; what it set itself is an error."""
    # A LoadBalancer that stops allocating keeps the node ports that it has, until the client removes them.
    had_ports, may_have_ports = (each["type"] in ("NodePort", "LoadBalancer") for each in (before, spec))
    if had_ports and not may_have_ports and _node_ports(spec) <= _node_ports(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    dropped = [
        field
        for field, has_use in _USES
        if has_use(before) and not has_use(spec) and spec.get(field) == before.get(field)
    ]
    for field in dropped:
        spec.pop(field, None)


def _node_ports(spec: Obj) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
