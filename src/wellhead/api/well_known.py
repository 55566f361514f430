"""The resources that nodes, clouds and commands ask for, by their names alone.

What the kinds' rules take to be imported (a fifth of a second, 5 MB) is the API server's. Everybody else who
minds imports from here; `resources` has all.
"""

from __future__ import annotations

from wellhead.api.resource import Resource

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
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
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
        {
            "status",
            "log",
            "exec",
            "attach",
            "portforward",
            "binding",
            "eviction",
            "proxy",
            "ephemeralcontainers",
            "resize",
        }
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
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", short_names=("cm",))
SERVICEACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=frozenset({"token"})
)
EVENTS = Resource(
    "",
    "v1",
    "Event",
    "events",
    short_names=("ev",),
    field_labels=(
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
    ),
    strict_field_labels=True,
)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
SERVICECIDRS = Resource(
    "networking.k8s.io",
    "v1",
    "ServiceCIDR",
    "servicecidrs",
    namespaced=False,
    subresources=frozenset({"status"}),
)
