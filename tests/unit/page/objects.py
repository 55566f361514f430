"""Clusters as objects, of any size."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def node(number: int, *, ready: bool = True, zone: str = "") -> Obj:
    name = f"node-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"topology.kubernetes.io/zone": zone} if zone else {},
            "resourceVersion": "1",
        },
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"10.240.0.{10 + number}"},
                {"type": "ExternalIP", "address": f"192.0.2.{10 + number}"},
            ],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "nodeInfo": {"kubeletVersion": "v1.37.1+wellhead-0.1.0"},
        },
    }


def pod(
    name: str, on: int, host: int, *, namespace: str = "default", app: str = "", ready: bool = True
) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app or name}},
        "spec": {"nodeName": f"node-{on}", "containers": [{"name": "main", "image": "web"}]},
        "status": {
            "phase": "Running",
            "podIP": f"10.244.{on}.{host}",
            "podIPs": [{"ip": f"10.244.{on}.{host}"}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(
    name: str,
    host: int,
    *,
    namespace: str = "default",
    kind: str = "ClusterIP",
    policy: str = "Cluster",
    vip: str = "",
    node_port: int = 0,
    class_: str = "",
) -> Obj:
    spec: Obj = {
        "type": kind,
        "clusterIP": f"10.0.{host // 250}.{1 + host % 250}",
        "clusterIPs": [f"10.0.{host // 250}.{1 + host % 250}"],
        "selector": {"app": name},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
    }
    if kind != "ClusterIP":
        spec["externalTrafficPolicy"] = policy
        spec["ports"][0]["nodePort"] = node_port or 30000 + host
    if kind == "LoadBalancer" and policy == "Local":
        spec["healthCheckNodePort"] = 32000 + host % 700
    if class_:
        spec["loadBalancerClass"] = class_
    ingress = [{"ip": vip, "ipMode": "VIP"}] if vip else []
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress} if ingress else {}},
    }


def endpoint_slice(name: str, pods: list[Obj], *, namespace: str = "default", named: bool = True) -> Obj:
    """Of the Service of this name. `named`: it says which pods its addresses are of."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [endpoint(each) if named else _unnamed(endpoint(each)) for each in pods],
    }


def endpoint(of: Obj) -> Obj:
    ready = of["status"]["conditions"][0]["status"] == "True"
    return {
        "addresses": [of["status"]["podIP"]],
        "nodeName": of["spec"]["nodeName"],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "targetRef": {
            "kind": "Pod",
            "namespace": of["metadata"]["namespace"],
            "name": of["metadata"]["name"],
        },
    }


def _unnamed(found: Obj) -> Obj:
    del found["targetRef"]
    return found


def large(nodes: int = 50, services: int = 100, each: int = 20) -> list[Obj]:
    """So many nodes, and Services with so many pods each."""
    found = [
        node(number, ready=number % 17 != 0, zone=f"zone-{number % 3}") for number in range(1, nodes + 1)
    ]
    for index in range(services):
        name = f"web-{index}"
        pods = [
            pod(
                f"{name}-{place}",
                1 + (index * 7 + place) % nodes,
                2 + (index * each + place) // nodes,
                app=name,
            )
            for place in range(each)
        ]
        kind = ("ClusterIP", "NodePort", "LoadBalancer")[index % 3]
        vip = f"203.0.113.{1 + index}" if kind == "LoadBalancer" else ""
        policy = "Local" if index % 2 else "Cluster"
        found += [
            *pods,
            service(name, index, kind=kind, policy=policy, vip=vip),
            endpoint_slice(name, pods),
        ]
    return found
