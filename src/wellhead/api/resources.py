"""Every kind that is served, as data. To add one, add it here (its rules, if any, go under `kinds/`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from wellhead.api.meta import GroupVersionKind

_OBJECT_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_PROXY_VERBS = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A subresource: the kind that its requests carry (as discovery names it) and its verbs."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Resource:
    """One resource of the API: its names, scope, verbs, and which fields its field selectors may name."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _OBJECT_VERBS
    subresources: frozenset[str] = frozenset()
    field_labels: tuple[str, ...] = ()
    """Field selector labels besides metadata.name and metadata.namespace."""
    strict_field_labels: bool = False
    """Whether an unsupported label is refused in the words of core/v1's own conversions."""
    stored_as: str = field(default="", compare=False)
    """`group/plural` under which objects are stored: two versions or groups of one kind share it."""

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def group_resource(self) -> str:
        """`pods`, `deployments.apps`: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_prefix(self) -> str:
        """What the storage files this resource's objects under: `pods`, `apps/deployments`."""
        return self.stored_as or (f"{self.group}/{self.plural}" if self.group else self.plural)

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @property
    def is_review(self) -> bool:
        """Whether objects are only questions: created, answered, never stored."""
        return self.verbs == ("create",)

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path: `/api/v1/namespaces/x/pods/y/log`; of the collection without a name."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def subresource(self, name: str) -> Subresource:
        """What the subresource takes and answers. Raises KeyError if this resource doesn't have it."""
        if name not in self.subresources:
            raise KeyError(f"{self.plural}/{name}")
        if name == "proxy":
            return Subresource(name, "", "v1", f"{self.kind}ProxyOptions", _PROXY_VERBS)
        group, version, kind, verbs = _SUBRESOURCES[name]
        if not kind:
            group, version, kind = self.group, self.version, self.kind
        return Subresource(name, group, version, kind, verbs)


# name -> (group, version, kind, verbs); without a kind: the resource's own.
_SUBRESOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "status": ("", "", "", ("get", "patch", "update")),
    "finalize": ("", "", "", ("update",)),
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "log": ("", "", "", ("get",)),
    "exec": ("", "v1", "PodExecOptions", ("create", "get")),
    "attach": ("", "v1", "PodAttachOptions", ("create", "get")),
    "portforward": ("", "v1", "PodPortForwardOptions", ("create", "get")),
    "binding": ("", "v1", "Binding", ("create",)),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
}

_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)

NODES = Resource(
    "",
    "v1",
    "Node",
    "nodes",
    namespaced=False,
    short_names=("no",),
    subresources=frozenset({"status", "proxy"}),
    field_labels=("spec.unschedulable",),
    strict_field_labels=True,
)
NAMESPACES = Resource(
    "",
    "v1",
    "Namespace",
    "namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=frozenset({"status", "finalize"}),
    field_labels=("status.phase",),
    strict_field_labels=True,
)
PODS = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    short_names=("po",),
    categories=("all",),
    subresources=frozenset(
        {"status", "log", "exec", "attach", "portforward", "binding", "eviction", "proxy"}
    ),
    field_labels=(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    strict_field_labels=True,
)
SERVICES = Resource(
    "",
    "v1",
    "Service",
    "services",
    short_names=("svc",),
    categories=("all",),
    subresources=frozenset({"status", "proxy"}),
    field_labels=("spec.clusterIP", "spec.type"),
    strict_field_labels=True,
)
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", short_names=("ep",))
EVENTS = Resource(
    "",
    "v1",
    "Event",
    "events",
    short_names=("ev",),
    field_labels=_EVENT_FIELDS,
    strict_field_labels=True,
)
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", short_names=("cm",))
SECRETS = Resource("", "v1", "Secret", "secrets", field_labels=("type",), strict_field_labels=True)
SERVICEACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=frozenset({"token"})
)
DEPLOYMENTS = Resource(
    "apps",
    "v1",
    "Deployment",
    "deployments",
    short_names=("deploy",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
)
REPLICASETS = Resource(
    "apps",
    "v1",
    "ReplicaSet",
    "replicasets",
    short_names=("rs",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    field_labels=("status.replicas",),
)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
SERVICECIDRS = Resource(
    "networking.k8s.io",
    "v1",
    "ServiceCIDR",
    "servicecidrs",
    namespaced=False,
    subresources=frozenset({"status"}),
)
IPADDRESSES = Resource(
    "networking.k8s.io", "v1", "IPAddress", "ipaddresses", namespaced=False, short_names=("ip",)
)
EVENTS_V1 = Resource(
    "events.k8s.io",
    "v1",
    "Event",
    "events",
    short_names=("ev",),
    field_labels=(
        "reason",
        "regarding.kind",
        "regarding.name",
        "regarding.namespace",
        "regarding.uid",
        "reportingController",
        "type",
    ),
    stored_as="events",
)
TOKENREVIEWS = Resource(
    "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False, verbs=("create",)
)
SELFSUBJECTREVIEWS = Resource(
    "authentication.k8s.io",
    "v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
)
SUBJECTACCESSREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
)
SELFSUBJECTACCESSREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
)
SELFSUBJECTRULESREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
)

RESOURCES: tuple[Resource, ...] = (
    CONFIGMAPS,
    ENDPOINTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    DEPLOYMENTS,
    REPLICASETS,
    SELFSUBJECTREVIEWS,
    TOKENREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
    LEASES,
    ENDPOINTSLICES,
    EVENTS_V1,
    SERVICECIDRS,
    IPADDRESSES,
)

_BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_KIND = {(r.api_version, r.kind): r for r in RESOURCES}


def lookup(group: str, version: str, plural: str) -> Resource | None:
    """The resource that a URL names, if it is served. The core group is ''."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource whose objects carry this apiVersion and kind, if it is served."""
    return _BY_KIND.get((api_version, kind))
