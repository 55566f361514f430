"""The FlowSchemas and PriorityLevelConfigurations that are there from the start: upstream's, and two of ours.

The mandatory ones are always as they are here; the suggested ones as long as nobody has changed them.
Upstream: pkg/apis/flowcontrol/bootstrap/default.go, pkg/registry/flowcontrol/ensurer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from wellhead.api.meta import Obj

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
EXEMPT, CATCH_ALL = "exempt", "catch-all"
MANDATORY = (EXEMPT, CATCH_ALL)
"""Names, of schemas and levels alike."""

_API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
_ALL = ["*"]
_EVERYBODY = ("system:unauthenticated", "system:authenticated")
_BY_USER, _BY_NAMESPACE = "ByUser", "ByNamespace"
_CONTROLLERS = ("wellhead:controller-manager", "wellhead:scheduler")
_NODE_COMPONENTS = (
    "system:kube-proxy",
    "system:cloud-controller-manager",
    "system:coredns",
    "system:node-network",
    "wellhead:node-storage",
    "wellhead:image-puller",
)


@cache
def levels() -> dict[str, Obj]:
    """The PriorityLevelConfigurations by name. Not to be changed."""
    limited = (
        ("system", 30, 33, 64, 6),
        ("node-high", 40, 25, 64, 6),
        ("leader-election", 10, 0, 16, 4),
        ("workload-high", 40, 50, 128, 6),
        ("workload-low", 100, 90, 128, 6),
        ("global-default", 20, 50, 128, 6),
    )
    specs: dict[str, Obj] = {
        EXEMPT: {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
        CATCH_ALL: {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 5,
                "lendablePercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    }
    for name, shares, lendable, queues, hand in limited:
        queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
        specs[name] = {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": shares,
                "lendablePercent": lendable,
                "limitResponse": {"type": "Queue", "queuing": queuing},
            },
        }
    return {name: _object("PriorityLevelConfiguration", name, spec) for name, spec in specs.items()}


@cache
def schemas() -> dict[str, Obj]:
    """The FlowSchemas by name. Not to be changed."""
    accounts = [
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": "*"}},
    ]
    nodes, leases = _groups("system:nodes"), ("coordination.k8s.io", "leases")
    lease_verbs = ["get", "create", "update"]
    probes = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
    controllers, scheduler = "system:kube-controller-manager", "system:kube-scheduler"
    specs = {
        EXEMPT: _schema(EXEMPT, 1, "", _groups("system:masters")),
        CATCH_ALL: _schema(CATCH_ALL, 10_000, _BY_USER, _groups(*_EVERYBODY)),
        "probes": _schema(EXEMPT, 2, "", _groups(*_EVERYBODY), [], probes),
        "system-leader-election": _schema(
            "leader-election",
            100,
            _BY_USER,
            [*_users(controllers, scheduler), *accounts],
            [_resources(*leases, verbs=lease_verbs, cluster=False)],
            None,
        ),
        "wellhead-leader-election": _schema(
            "leader-election",
            100,
            _BY_USER,
            _users(*_CONTROLLERS),
            [_resources(*leases, verbs=lease_verbs, cluster=False)],
            None,
        ),
        "system-node-high": _schema(
            "node-high",
            400,
            _BY_USER,
            nodes,
            [_resources("", "nodes", "nodes/status"), _resources(*leases, cluster=False)],
            None,
        ),
        "system-nodes": _schema("system", 500, _BY_USER, nodes),
        "wellhead-nodes": _schema("system", 500, _BY_USER, _users(*_NODE_COMPONENTS)),
        "wellhead-controllers": _schema("workload-high", 800, _BY_NAMESPACE, _users(*_CONTROLLERS)),
        "kube-controller-manager": _schema("workload-high", 800, _BY_NAMESPACE, _users(controllers)),
        "kube-scheduler": _schema("workload-high", 800, _BY_NAMESPACE, _users(scheduler)),
        "kube-system-service-accounts": _schema("workload-high", 900, _BY_NAMESPACE, accounts),
        "service-accounts": _schema("workload-low", 9000, _BY_USER, _groups("system:serviceaccounts")),
        "global-default": _schema("global-default", 9900, _BY_USER, _groups(*_EVERYBODY)),
    }
    return {name: _object("FlowSchema", name, spec) for name, spec in specs.items()}


def revised(found: Obj, wanted: Obj) -> Obj:
    """`found` as it should be: with the spec that is `wanted`, unless somebody has made it his own."""
    metadata = found["metadata"]
    said = (metadata.get("annotations") or {}).get(AUTOUPDATE, "")
    ours = metadata["name"] in MANDATORY or _bool(said, metadata.get("generation", 1) == 1)
    spec = wanted["spec"] if ours and metadata["name"] != EXEMPT else found["spec"]
    if metadata["name"] == EXEMPT:
        # How much of the server is set aside for the exempt may be chosen.
        spec = wanted["spec"] | {name: found["spec"][name] for name in ("exempt",) if name in found["spec"]}
    if _bool(said, not ours) != ours:
        annotations = (metadata.get("annotations") or {}) | {AUTOUPDATE: str(ours).lower()}
        metadata = metadata | {"annotations": annotations}
    return found | {"metadata": metadata, "spec": spec}


def _bool(text: str, otherwise: bool) -> bool:
    """As Go's strconv.ParseBool reads it, or `otherwise` where that is an error."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    return otherwise and text not in ("0", "f", "F", "false", "FALSE", "False")


def _object(kind: str, name: str, spec: Obj) -> Obj:
    metadata = {"name": name, "annotations": {AUTOUPDATE: "true"}}
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _schema(
    level: str,
    precedence: int,
    method: str,
    subjects: list[Obj],
    resources: list[Obj] | None = None,
    paths: list[Obj] | None = None,
) -> Obj:
    """Without `resources` and `paths`, whatever the subjects ask for."""
    rule: Obj = {"subjects": subjects}
    if resources is None:
        resources, paths = [_resources("*", "*")], [{"verbs": _ALL, "nonResourceURLs": _ALL}]
    rule |= {"resourceRules": resources} if resources else {}
    rule |= {"nonResourceRules": paths} if paths else {}
    spec: Obj = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [rule],
    }
    return spec | ({"distinguisherMethod": {"type": method}} if method else {})


def _resources(group: str, *resources: str, verbs: Iterable[str] = ("*",), cluster: bool = True) -> Obj:
    rule: dict[str, Any] = {
        "verbs": list(verbs),
        "apiGroups": [group],
        "resources": list(resources),
        "namespaces": _ALL,
    }
    return rule | ({"clusterScope": True} if cluster else {})


def _groups(*names: str) -> list[Obj]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Obj]:
    return [{"kind": "User", "user": {"name": name}} for name in names]
