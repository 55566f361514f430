"""Clusters as files: what a page can be made of without a cluster."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Obj = dict[str, Any]


def node(name: str, internal: Sequence[str], cidrs: Sequence[str], *, ready: bool = True) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": list(cidrs)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": each} for each in internal],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def pod(namespace: str, name: str, on: str, address: str, labels: dict[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"nodeName": on, "containers": [{"name": "main", "image": "echo"}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def service(namespace: str, name: str, cluster_ip: str, vip: str, **spec: Any) -> Obj:
    six = ":" in cluster_ip
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv6" if six else "IPv4"],
            "externalTrafficPolicy": "Cluster",
            "internalTrafficPolicy": "Cluster",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": 31080, "protocol": "TCP"}],
            **spec,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": vip, "ipMode": "VIP"}]}},
    }


def endpoints(of: Obj, pods: Sequence[Obj]) -> Obj:
    namespace, name = of["metadata"]["namespace"], of["metadata"]["name"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": f"{name[:50]}-1",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": of["spec"]["ipFamilies"][0],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [each["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": each["spec"]["nodeName"],
                "targetRef": {
                    "kind": "Pod",
                    "namespace": each["metadata"]["namespace"],
                    "name": each["metadata"]["name"],
                },
            }
            for each in pods
        ],
    }


def many_nodes(count: int = 50, endpoints_on: int = 10) -> list[Obj]:
    """Nodes alike, of which the first ones have an endpoint."""
    nodes = [node(f"node-{i}", [f"10.240.0.{i}"], [f"10.244.{i}.0/24"]) for i in range(1, count + 1)]
    pods = [
        pod("shop", f"web-{i}", f"node-{i}", f"10.244.{i}.2", {"app": "web"})
        for i in range(1, endpoints_on + 1)
    ]
    web = service("shop", "web", "10.96.0.7", "203.0.113.7", externalTrafficPolicy="Local")
    return [*nodes, *pods, web, endpoints(web, pods)]


LONG = "a-name-of-sixty-three-letters-which-is-all-that-a-label-can-hold"[:63]


def long_names() -> list[Obj]:
    """IPv6 addresses that can't be shortened, names as long as they may be."""
    addresses = [f"2001:db8:1234:5678:9abc:def0:1234:567{i}" for i in range(3)]
    names = [f"{LONG[:60]}-{i}.{LONG}.{LONG}.example" for i in range(3)]
    nodes = [node(names[i], [addresses[i]], [f"2001:db8:4321:{i}::/64"]) for i in range(3)]
    pods = [
        pod(
            LONG,
            f"{LONG}-{'x' * 180}-{i}"[:253],
            names[i],
            f"2001:db8:4321:{i}:abcd:ef01:2345:6789",
            {"app": "web"},
        )
        for i in range(2)
    ]
    web = service(
        LONG, LONG, "2001:db8:ffff:eeee:dddd:cccc:bbbb:aaaa", "2001:db8:cafe:cafe:cafe:cafe:cafe:cafe"
    )
    return [*nodes, *pods, web, endpoints(web, pods)]


HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "'-alert(1)-'",
    "gnp.\u202eexe.txt",
    "&lt;b&gt;\u0007\u200b",
)


def hostile() -> list[Obj]:
    """Names that harm whoever takes them for markup: a file may have them, an API server refuses them."""
    nodes = [
        node(f"node {each}", [f"10.240.0.{i}"], [f"10.244.{i}.0/24"]) for i, each in enumerate(HOSTILE, 1)
    ]
    pods = [
        pod(f"ns {each}", f"pod {each}", f"node {each}", f"10.244.{i}.2", {"app": "web"})
        for i, each in enumerate(HOSTILE, 1)
    ]
    namespace = f"ns {HOSTILE[0]}"
    web = service(namespace, f"web {HOSTILE[1]}", "10.96.0.7", "203.0.113.7")
    return [*nodes, *pods, web, endpoints(web, pods)]


def write(directory: Path, objects: Sequence[Obj]) -> Path:
    file = directory / "cluster.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return file
