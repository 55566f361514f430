"""Who may do what: upstream's bootstrap roles, as data, for the identities that a cluster here has.

From kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy. system:masters needs no rule (it may do
everything); what a node may do depends on which pods it runs, and is in `node_authorizer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wellhead.api.resources import RESOURCES


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows every combination of these; "*" stands for all. A resource may be "pods/status"."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    """Paths that are no resource's; "/api/*" covers what begins so."""
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


def _paths(*paths: str) -> Rule:
    return Rule(frozenset({"get", "head"}), paths=frozenset(" ".join(paths).split()))


def _everything_stored(verbs: str) -> Iterator[Rule]:
    """All kinds that have objects, without their subresources: those are other rights (pods/exec)."""
    for group in sorted({each.group for each in RESOURCES}):
        plurals = [each.plural for each in RESOURCES if each.group == group and not each.is_review]
        if plurals:
            yield _rule(group or "core", " ".join(plurals), verbs)


def _elects(lease: str) -> tuple[Rule, Rule]:
    """To be a candidate of this Lease in kube-system. A creation has no name to be asked for."""
    return (
        _rule("coordination.k8s.io", "leases", "create", namespace="kube-system"),
        _rule("coordination.k8s.io", "leases", "get update", names=lease, namespace="kube-system"),
    )


_HEALTH_PATHS = "/healthz /livez /livez/* /readyz /readyz/* /version /version/"
_READ = "get list watch"
_EVENTS = _rule("core events.k8s.io", "events", "create patch update")
_REVIEWS = (
    _rule("authentication.k8s.io", "tokenreviews", "create"),
    _rule("authorization.k8s.io", "subjectaccessreviews", "create"),
)

ROLES: dict[str, tuple[Rule, ...]] = {
    "system:basic-user": (
        _rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
        _rule("authentication.k8s.io", "selfsubjectreviews", "create"),
    ),
    "system:discovery": (_paths("/api /api/* /apis /apis/* /openapi /openapi/*", _HEALTH_PATHS),),
    "system:public-info-viewer": (_paths(_HEALTH_PATHS),),
    # Upstream's controllers have a service account and a role each; here one process holds them all: the
    # garbage collector's and the namespace controller's rights are over everything, the others' are below.
    "system:kube-controller-manager": (
        *_everything_stored(f"{_READ} patch delete"),
        _rule("core", "nodes pods endpoints configmaps serviceaccounts", "update"),
        _rule("core", "namespaces/finalize namespaces/status nodes/status", "update"),
        _rule("core", "pods/status", "patch"),
        _rule("core", "pods endpoints configmaps serviceaccounts", "create"),
        _rule("apps", "deployments deployments/status replicasets replicasets/status", "update"),
        _rule("apps", "replicasets", "create"),
        _rule("batch", "jobs/status", "update"),
        _rule("discovery.k8s.io", "endpointslices", "create update"),
        _rule("networking.k8s.io", "servicecidrs", "update"),
        _rule("networking.k8s.io", "servicecidrs/status", "patch"),
        *_elects("kube-controller-manager"),
        _EVENTS,
        *_REVIEWS,
    ),
    "system:kube-scheduler": (
        _rule("core", "namespaces nodes services", _READ),
        _rule("core", "pods", f"delete {_READ}"),
        _rule("core", "bindings pods/binding", "create"),
        _rule("core", "pods/status", "patch update"),
        _rule("apps", "replicasets statefulsets", _READ),
        _rule("policy", "poddisruptionbudgets", _READ),
        *_elects("kube-scheduler"),
        _EVENTS,
        *_REVIEWS,
    ),
    # As deploy/kube-proxy-replacement has it: upstream's, and the patch, of which admission lets an
    # announcement of the own node through.
    "system:node-proxier": (
        _rule("core", "services endpoints", "list watch"),
        _rule("core", "nodes", f"{_READ} patch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        _rule("networking.k8s.io", "servicecidrs", "list watch"),
        _EVENTS,
    ),
    # Upstream's, without pods, which we read nothing of, and with the Service that leads to it.
    "system:coredns": (
        _rule("core", "namespaces services", "list watch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        _rule("core", "services", "create", namespace="kube-system"),
        _rule("core", "services", "update", names="kube-dns", namespace="kube-system"),
        _rule("discovery.k8s.io", "endpointslices", "create", namespace="kube-system"),
        _rule(
            "discovery.k8s.io",
            "endpointslices",
            "update delete",
            names="kube-dns-ipv4 kube-dns-ipv6",
            namespace="kube-system",
        ),
    ),
    # Our own: a node's identity sees no other node, but its pods' routes lead to them.
    "system:node-network": (_rule("core", "nodes", "list watch"),),
    # As deploy/load-balancer has it: of upstream's role for cloud controllers, what ours needs.
    "system:cloud-controller-manager": (
        _rule("core", "nodes", "list watch"),
        _rule("core", "services", "list watch patch"),
        _rule("core", "services/status", "patch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        *_elects("wellhead-cloud"),
        _rule("core", "events", "create patch update"),
    ),
}

USERS: dict[str, tuple[str, ...]] = {
    "system:kube-controller-manager": ("system:kube-controller-manager",),
    "system:kube-scheduler": ("system:kube-scheduler",),
    "system:kube-proxy": ("system:node-proxier",),
    "system:node-network": ("system:node-network",),
    "system:coredns": ("system:coredns",),
    "system:cloud-controller-manager": ("system:cloud-controller-manager",),
}
"""The roles of a user, by name."""

GROUPS: dict[str, tuple[str, ...]] = {
    "system:authenticated": ("system:basic-user", "system:discovery"),
    "system:unauthenticated": ("system:public-info-viewer",),
}
"""The roles of everybody in a group."""

EVERYTHING = "system:masters"
