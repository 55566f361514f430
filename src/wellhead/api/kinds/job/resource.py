"""What Jobs are called."""

from __future__ import annotations

from wellhead.api.resource import Resource

JOBS = Resource(
    "batch",
    "v1",
    "Job",
    "jobs",
    categories=("all",),
    subresources=frozenset({"status"}),
    field_labels=("status.successful",),
)
