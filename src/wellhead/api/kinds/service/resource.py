"""The resource `services`."""

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
