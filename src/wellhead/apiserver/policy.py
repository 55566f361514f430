"""What our own components may do, as data: no more than their work needs.

Each is a role that users can read (`rbac.defaults` makes it): a ClusterRole, and Roles of the same name for
what is in one namespace only. Upstream's own roles are in `rbac/default_roles.txt`; where the one that a
component would have by upstream's name (system:kube-scheduler) gives more than ours needs, ours goes by
another name. What a node may do depends on which pods it runs, and is in `node_authorizer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wellhead.api.certificates.requests import KUBELET_CLIENT
from wellhead.api.resources import RESOURCES


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows every combination of these; "*" stands for all. A resource may be "pods/status"."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str] = frozenset()
    """The only objects that it is about; empty: all."""
    namespace: str = ""
    """The only namespace; empty: all, and what is in none."""


def _rule(groups: str, resources: str, verbs: str, names: str = "", namespace: str = "") -> Rule:
    """Words separated by spaces; the group "core" is the one that is written ""."""
    named = frozenset("" if group == "core" else group for group in groups.split())
    return Rule(
        frozenset(verbs.split()),
        named,
        frozenset(resources.split()),
        names=frozenset(names.split()),
        namespace=namespace,
    )


def _everything_stored(verbs: str) -> Iterator[Rule]:
    """All kinds that have objects, without their subresources: those are other rights (pods/exec)."""
    for group in sorted({each.group for each in RESOURCES}):
        plurals = [
            each.plural for each in RESOURCES if each.group == group and not (each.is_review or each.measured)
        ]
        if plurals:
            yield _rule(group or "core", " ".join(plurals), verbs)


def _elects(lease: str) -> tuple[Rule, Rule]:
    """To be a candidate of this Lease in kube-system. A creation has no name to be asked for."""
    return (
        _rule("coordination.k8s.io", "leases", "create", namespace="kube-system"),
        _rule("coordination.k8s.io", "leases", "get update", names=lease, namespace="kube-system"),
    )


_READ = "get list watch"
_DNS_SERVERS = ("", "-2", "-3", "-4", "-5")
"""What the slices of each server behind kube-dns end in (wellhead.dns.service)."""
_EVENTS = _rule("core", "events", "create patch")
_REVIEWS = (
    _rule("authentication.k8s.io", "tokenreviews", "create"),
    _rule("authorization.k8s.io", "subjectaccessreviews", "create"),
)

ROLES: dict[str, tuple[Rule, ...]] = {
    # Upstream's controllers have a service account and a role each; here one process holds them all: the
    # garbage collector's and the namespace controller's rights are over everything, the others' are below.
    "wellhead:controller-manager": (
        *_everything_stored(f"{_READ} patch delete"),
        _rule("core", "nodes pods endpoints configmaps serviceaccounts", "update"),
        _rule("core", "namespaces/finalize namespaces/status nodes/status", "update"),
        _rule("core", "resourcequotas/status", "update"),
        _rule("core", "pods/status", "patch"),
        _rule("core", "pods endpoints configmaps serviceaccounts", "create"),
        _rule("apps", "deployments deployments/status replicasets replicasets/status", "update"),
        _rule("apps", "replicasets", "create"),
        _rule("core", "replicationcontrollers replicationcontrollers/status", "update"),
        _rule("apps", "daemonsets/status statefulsets/status", "update"),
        _rule("core", "persistentvolumeclaims", "create update"),
        _rule("policy", "poddisruptionbudgets/status", "update"),
        _rule("*", "*/scale", "get"),
        _rule("apps", "controllerrevisions", "create update"),
        _rule("batch", "jobs/status cronjobs/status", "update"),
        _rule("batch", "jobs", "create"),
        _rule("core", "persistentvolumeclaims", "create"),
        _rule("core", "persistentvolumes persistentvolumes/status", "update"),
        _rule("core", "persistentvolumeclaims persistentvolumeclaims/status", "update"),
        _rule("autoscaling", "horizontalpodautoscalers/status", "update"),
        _rule("*", "*/scale", "get patch"),
        _rule("metrics.k8s.io", "pods", "list"),
        _rule("custom.metrics.k8s.io external.metrics.k8s.io", "*", "get list"),
        _rule("discovery.k8s.io", "endpointslices", "create update"),
        _rule("networking.k8s.io", "servicecidrs", "update"),
        _rule("networking.k8s.io", "servicecidrs/status", "patch"),
        _rule("rbac.authorization.k8s.io", "clusterroles", "escalate update"),
        _rule(
            "certificates.k8s.io",
            "certificatesigningrequests/approval certificatesigningrequests/status",
            "update",
        ),
        _rule("certificates.k8s.io", "signers", "approve", names=KUBELET_CLIENT),
        _rule(
            "certificates.k8s.io",
            "signers",
            "sign",
            names="kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet"
            " kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
        ),
        *_elects("kube-controller-manager"),
        _EVENTS,
        *_REVIEWS,
    ),
    "wellhead:scheduler": (
        _rule("core", "namespaces nodes services", _READ),
        _rule("core", "pods", f"delete {_READ}"),
        _rule("core", "bindings pods/binding", "create"),
        _rule("core", "persistentvolumes", f"update {_READ}"),
        _rule("core", "persistentvolumeclaims", f"patch {_READ}"),
        _rule("storage.k8s.io", "storageclasses", _READ),
        _rule("core", "pods/status", "patch update"),
        _rule("apps", "replicasets statefulsets", _READ),
        _rule("policy", "poddisruptionbudgets", _READ),
        *_elects("kube-scheduler"),
        _EVENTS,
        *_REVIEWS,
    ),
    # As deploy/kube-proxy-replacement has it: of upstream's what ours needs, and the patch, of which
    # admission lets an announcement of the own node through.
    "wellhead:proxy": (
        _rule("core", "services", "list watch"),
        _rule("core", "nodes", f"{_READ} patch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        _rule("networking.k8s.io", "servicecidrs", "list watch"),
        _EVENTS,
    ),
    # As deploy/network-policy has it: of nodes' status it may say one condition, which admission sees to.
    "wellhead:policy": (
        _rule("core", "namespaces nodes pods", "list watch"),
        _rule("core", "nodes/status", "patch"),
        _rule("networking.k8s.io", "networkpolicies", "list watch"),
        _rule("policy.networking.k8s.io", "clusternetworkpolicies", "list watch"),
        _rule(
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "list watch",
            names="clusternetworkpolicies.policy.networking.k8s.io",
        ),
        _EVENTS,
    ),
    # Upstream's, without pods, which we read nothing of, and with the Service that leads to it.
    "wellhead:dns": (
        _rule("core", "namespaces services", "list watch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        _rule("core", "services", "create", namespace="kube-system"),
        _rule("core", "services", "update", names="kube-dns", namespace="kube-system"),
        _rule("discovery.k8s.io", "endpointslices", "create", namespace="kube-system"),
        _rule(
            "discovery.k8s.io",
            "endpointslices",
            "update delete",
            names=" ".join(f"kube-dns-ipv{family}{which}" for family in (4, 6) for which in _DNS_SERVERS),
            namespace="kube-system",
        ),
    ),
    # Our own: a node's identity sees no other node, but its pods' routes lead to them.
    "wellhead:node-network": (_rule("core", "nodes", "list watch"),),
    # Our own, on each node: of volumes only its own, which admission sees to.
    "wellhead:node-storage": (
        _rule("core", "persistentvolumes", f"{_READ} create delete patch"),
        _rule("core", "persistentvolumeclaims", _READ),
        _rule("storage.k8s.io", "storageclasses", f"{_READ} create"),
        _EVENTS,
    ),
    # Our own: it answers what agents ask for in their pods' status, with the credentials that the pods name.
    "wellhead:image-puller": (
        _rule("core", "pods", "list watch"),
        _rule("core", "pods/status", "patch"),
        _rule("core", "secrets", "get"),
    ),
    # As deploy/load-balancer has it: of upstream's role for cloud controllers, what ours needs.
    "wellhead:cloud": (
        _rule("core", "nodes", "list watch"),
        _rule("core", "services", "list watch patch"),
        _rule("core", "services/status", "patch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        *_elects("wellhead-cloud"),
        _EVENTS,
    ),
}

USERS: dict[str, str] = {
    "wellhead:controller-manager": "wellhead:controller-manager",
    "wellhead:scheduler": "wellhead:scheduler",
    "system:kube-proxy": "wellhead:proxy",
    "system:coredns": "wellhead:dns",
    "wellhead:policy": "wellhead:policy",
    "wellhead:image-puller": "wellhead:image-puller",
    "wellhead:node-storage": "wellhead:node-storage",
    "system:node-network": "wellhead:node-network",
    "system:cloud-controller-manager": "wellhead:cloud",
}
"""Who has which of them, by the users' names."""
