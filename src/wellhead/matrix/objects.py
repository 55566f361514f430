"""What stands in the cluster meanwhile: a namespace with a server, clients and Services. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.meta import Obj
from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION, PROXY_CLASS
from wellhead.ip import Family
from wellhead.matrix.cells import (
    NEIGHBOUR,
    POLICIES,
    PORT,
    REMOTE,
    SERVER,
    TARGET_PORT,
    Dialled,
    Parts,
    Place,
    Policy,
    service_name,
)

SERVER_IMAGE = "k8s.gcr.io/echoserver:1.4"
CLIENT_IMAGE = "busybox"


def namespace(name: str) -> Obj:
    """It is labelled, so that what an interrupted run has left is found: `kubectl delete ns -l …`."""
    metadata = {"name": name, "labels": {"wellhead.dev/matrix": ""}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def pods(place: Place) -> list[Obj]:
    """The server, and a client beside it and on the other node."""
    here, there = place.node.name, place.other.name
    found = [_pod(place, SERVER, here, SERVER_IMAGE), _pod(place, NEIGHBOUR, here, CLIENT_IMAGE)]
    return found if here == there else [*found, _pod(place, REMOTE, there, CLIENT_IMAGE)]


def services(place: Place, families: Sequence[Family], parts: Parts) -> list[Obj]:
    """A Service for each address and policy, of these families."""
    made: dict[str, Obj] = {}
    for dialled, policies in POLICIES.items():
        for policy in policies:
            balancer = dialled in (Dialled.LOAD_BALANCER, Dialled.TERMINATING)
            left_out = (balancer and not parts.cloud) or (policy is Policy.PRESERVING and not parts.proxy)
            if dialled is not Dialled.POD and not left_out:
                name = service_name(dialled, policy)
                made[name] = _service(place, name, dialled, policy, families)
    return list(made.values())


def _service(place: Place, name: str, dialled: Dialled, policy: Policy, families: Sequence[Family]) -> Obj:
    spec: Obj = {
        "selector": {"app": SERVER},
        "ports": [{"name": "http", "port": PORT, "targetPort": TARGET_PORT}],
        "ipFamilyPolicy": "RequireDualStack" if len(families) == 2 else "SingleStack",
    }
    metadata: Obj = {"name": name, "namespace": place.namespace}
    match dialled:
        case Dialled.NODE_PORT | Dialled.OTHER_NODE_PORT:
            spec["type"] = "NodePort"
        case Dialled.EXTERNAL_IP:
            spec["externalIPs"] = [place.claimed(policy).internal[family] for family in families]
        case Dialled.LOAD_BALANCER:
            spec["type"] = "LoadBalancer"
        case Dialled.TERMINATING:
            spec |= {"type": "LoadBalancer", "loadBalancerClass": PROXY_CLASS}
    match policy:
        case Policy.LOCAL:
            spec["externalTrafficPolicy"] = "Local"
        case Policy.INTERNAL_LOCAL:
            spec["internalTrafficPolicy"] = "Local"
        case Policy.PRESERVING:
            metadata["annotations"] = {PRESERVE_CLIENT_IP_ANNOTATION: "true"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _pod(place: Place, name: str, node: str, image: str) -> Obj:
    container: Obj = {"name": "main", "image": image}
    if image == CLIENT_IMAGE:
        container["command"] = ["sleep", "86400"]
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    metadata = {"name": name, "namespace": place.namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
