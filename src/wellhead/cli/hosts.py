"""The HOST argument of `shell` and `exec`, with completion."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from wellhead.lab import topology
from wellhead.lab.cluster import Cluster, LabError


def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The hosts of the cluster that --name says, as far as it is known."""
    try:
        spec = Cluster(ctx.params.get("name") or "wellhead").read_spec()
    except (LabError, OSError):
        spec = None
    nodes = spec.nodes if spec else 3
    return [CompletionItem(name) for name in topology.build(nodes).names if name.startswith(incomplete)]
