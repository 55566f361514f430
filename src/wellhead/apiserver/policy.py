"""Who may do what: upstream's bootstrap roles, as data, for the identities that a cluster here has.

From kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy. system:masters needs no rule (it may do
everything); what a node may do depends on which pods it runs, and is in `node_authorizer`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows every combination of these; "*" stands for all. A resource may be "pods/status"."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    """Paths that are no resource's; "/api/*" covers what begins so."""


def _rule(groups: str, resources: str, verbs: str) -> Rule:
    """Words separated by spaces; the group "core" is the one that is written ""."""
    named = frozenset("" if group == "core" else group for group in groups.split())
    return Rule(frozenset(verbs.split()), named, frozenset(resources.split()))


def _paths(*paths: str) -> Rule:
    return Rule(frozenset({"get", "head"}), paths=frozenset(" ".join(paths).split()))


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
    # Upstream's controllers have a service account and a role each; here one process holds them all.
    "system:kube-controller-manager": (
        _rule("*", "*", "delete deletecollection get list patch update watch"),
        _rule("apps", "replicasets", "create"),
        _rule("core", "pods configmaps endpoints serviceaccounts serviceaccounts/token secrets", "create"),
        _rule("discovery.k8s.io", "endpointslices", "create"),
        _rule("coordination.k8s.io", "leases", "create"),
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
        _rule("coordination.k8s.io", "leases", "create get list update watch"),
        _EVENTS,
        *_REVIEWS,
    ),
    "system:node-proxier": (
        _rule("core", "services endpoints", "list watch"),
        _rule("core", "nodes", f"{_READ} patch"),  # our own: to announce the symmetric return
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        _rule("networking.k8s.io", "servicecidrs", "list watch"),
        _EVENTS,
    ),
    # Our own: a node's identity sees no other node, but its pods' routes lead to them.
    "system:node-network": (_rule("core", "nodes", "list watch"),),
    "system:cloud-controller-manager": (
        _rule("core", "nodes", f"{_READ} patch update"),
        _rule("core", "nodes/status", "patch update"),
        _rule("core", "services", f"{_READ} patch update"),
        _rule("core", "services/status", "patch update"),
        _rule("core", "endpoints", _READ),
        _rule("discovery.k8s.io", "endpointslices", _READ),
        _rule("coordination.k8s.io", "leases", "create get list patch update watch"),
        _EVENTS,
    ),
}

USERS: dict[str, tuple[str, ...]] = {
    "system:kube-controller-manager": ("system:kube-controller-manager",),
    "system:kube-scheduler": ("system:kube-scheduler",),
    "system:kube-proxy": ("system:node-proxier",),
    "system:node-network": ("system:node-network",),
    "system:cloud-controller-manager": ("system:cloud-controller-manager",),
}
"""The roles of a user, by name."""

GROUPS: dict[str, tuple[str, ...]] = {
    "system:authenticated": ("system:basic-user", "system:discovery"),
    "system:unauthenticated": ("system:public-info-viewer",),
}
"""The roles of everybody in a group."""

EVERYTHING = "system:masters"
