"""What CronJobs are called."""

from __future__ import annotations

from wellhead.api.resource import Resource

CRONJOBS = Resource(
    "batch",
    "v1",
    "CronJob",
    "cronjobs",
    short_names=("cj",),
    categories=("all",),
    subresources=frozenset({"status"}),
)
