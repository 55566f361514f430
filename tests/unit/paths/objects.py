"""Clusters of a few objects, and short questions about them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from wellhead.paths.explain import Question
from wellhead.paths.report import explain
from wellhead.paths.way import Disposition, Outcome, Report, Way
from wellhead.paths.world import Decoded, World

Obj = dict[str, Any]
CLIENT = "203.0.113.9"


def node(name: str, number: int, pods: str | None = None, **more: Any) -> Obj:
    """A Node with InternalIP 10.9.0.NUMBER and podCIDR 10.50.NUMBER.0/24 (`pods=""`: none)."""
    cidr = f"10.50.{number}.0/24" if pods is None else pods
    addresses = [{"type": "InternalIP", "address": more.get("ip", f"10.9.0.{number}")}]
    if "external" in more:
        addresses.append({"type": "ExternalIP", "address": more["external"]})
    version = more.get("version", "v1.34.1")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": more.get("labels", {}),
            "annotations": more.get("annotations", {}),
        },
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "providerID": more.get("provider", "")}
        if cidr
        else {"providerID": more.get("provider", "")},
        "status": {
            "addresses": addresses,
            "nodeInfo": {"kubeletVersion": version, "kubeProxyVersion": more.get("proxy", version)},
        },
    }


def service(name: str = "api", **spec: Any) -> Obj:
    """A Service of namespace team, port 80 to 8080; node port 31000 unless it is a ClusterIP."""
    metadata = {
        "name": name,
        "namespace": spec.pop("namespace", "team"),
        "annotations": spec.pop("annotations", {}),
    }
    metadata["labels"] = spec.pop("labels", {})
    status = spec.pop("ingress", [])
    port: Obj = {"name": "web", "port": 80, "targetPort": 8080, "protocol": spec.pop("protocol", "TCP")}
    if spec.get("type", "ClusterIP") != "ClusterIP":
        port["nodePort"] = spec.pop("node_port", 31000)
    ip = spec.pop("ip", "10.60.0.1")
    found = {
        "type": "ClusterIP",
        "clusterIP": ip,
        "clusterIPs": [ip],
        "selector": {"app": name},
        "ports": [port],
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": found | spec,
        "status": {"loadBalancer": {"ingress": status}},
    }


def endpoints(
    *places: tuple[str, str], name: str = "api", port: int = 8080, namespace: str = "team", **more: Any
) -> Obj:
    """An EndpointSlice of (address, node) pairs."""
    protocol, conditions = more.get("protocol", "TCP"), more.get("conditions", {"ready": True})
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-x",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv6" if any(":" in address for address, _ in places) else "IPv4",
        "ports": [{"name": "web", "port": port, "protocol": protocol}],
        "endpoints": [
            {"addresses": [address], "nodeName": where, "conditions": conditions} for address, where in places
        ],
    }


def pod(name: str, address: str, where: str, **more: Any) -> Obj:
    """A running Pod of namespace team."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": more.get("namespace", "team"),
            "labels": more.get("labels", {}),
        },
        "spec": {
            "nodeName": where,
            "hostNetwork": more.get("host_network", False),
            "containers": [
                {"name": "main", "image": more.get("image", "example/app:1"), "ports": more.get("ports", [])}
            ],
        },
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }


def config_map(name: str, namespace: str = "kube-system", **data: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def kube_proxy(**settings: Any) -> Obj:
    """kube-proxy's ConfigMap; clusterCIDR 10.50.0.0/16 unless something else is said."""
    lines = [f"{key}: {value}" for key, value in ({"clusterCIDR": "10.50.0.0/16"} | settings).items()]
    return config_map("kube-proxy", **{"config.conf": "\n".join(lines)})


def daemon_set(
    name: str, image: str, *args: str, env: dict[str, str] | None = None, namespace: str = "kube-system"
) -> Obj:
    variables = [{"name": key, "value": value} for key, value in (env or {}).items()]
    container = {"name": name, "image": image, "args": list(args), "env": variables}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"hostNetwork": True, "containers": [container]}}},
    }


def kind(name_: str, /, *, api: str = "example.com/v1", namespace: str = "", **more: Any) -> Obj:
    """An object of some kind: `kind("IPPool", name="x", spec={…})`."""
    metadata = {"name": more.pop("name", "default")} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": name_, "metadata": metadata} | more


NODES = [node("oslo", 1), node("lima", 2), node("cairo", 3)]
FLANNEL = [
    daemon_set(
        "kube-flannel-ds", "example/flannel:v0.26", "--ip-masq", "--kube-subnet-mgr", namespace="kube-flannel"
    ),
    config_map(
        "kube-flannel-cfg",
        "kube-flannel",
        **{"net-conf.json": '{"Network": "10.50.0.0/16", "Backend": {"Type": "vxlan"}}'},
    ),
]
LOCAL = {"externalTrafficPolicy": "Local"}
CLUSTER = {"externalTrafficPolicy": "Cluster"}
TWO = endpoints(("10.50.1.5", "oslo"), ("10.50.2.5", "lima"))
ONE = endpoints(("10.50.1.5", "oslo"))


def world(*objects: Obj | Iterable[Obj]) -> World:
    flat: list[Obj] = []
    for each in objects:
        flat += [each] if isinstance(each, dict) else list(each)
    return World([Decoded(copy.deepcopy(each)) for each in flat])


def report(
    cluster: World, target: str = "svc/api", *from_: str, namespace: str = "team", node: str = ""
) -> Report:
    return explain(cluster, Question(target, namespace, from_, None, node))


def outcomes(cluster: World, target: str, from_: str = CLIENT, **more: Any) -> tuple[Outcome, ...]:
    """What becomes of a connection, of the first way that a question gets."""
    return report(cluster, target, from_, **more).ways[0].outcomes


def way(cluster: World, frontend: str, from_: str = CLIENT, target: str = "svc/api", **more: Any) -> Way:
    """The first way to a kind of address of a Service."""
    found = report(cluster, target, from_, **more).ways
    return next(each for each in found if each.frontend == frontend)


def seen(found: Iterable[Outcome]) -> dict[str, float]:
    """Shares by what the server sees: `client 203.0.113.9`, `node oslo 10.50.1.1`, `dropped`."""
    result: dict[str, float] = {}
    for each in found:
        if each.disposition is Disposition.DELIVERED:
            owner = f" {each.source_owner}" if each.seen_as.value in ("node", "pod") else ""
            text = f"{each.seen_as.value}{owner} {each.source or '?'}"
        else:
            text = each.disposition.value
        result[text] = result.get(text, 0) + each.share
    return {text: round(share, 3) for text, share in result.items()}


def codes(found: Iterable[Outcome]) -> set[str]:
    """The codes of all steps and notes."""
    whole = list(found)
    steps = {each.code.value for outcome in whole for each in outcome.steps}
    return steps | {each.code.value for outcome in whole for each in outcome.notes}
