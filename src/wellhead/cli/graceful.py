"""Nodes that end their pods before they go, if their configuration says how long that may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from wellhead.lab import shutdown
from wellhead.lab.cluster import Cluster


def end_pods(cluster: Cluster, nodes: Iterable[str] | None, report: Callable[[str, int, int], None]) -> None:
    """Have these nodes (None: all) end their pods. Nothing where there is no shutdownGracePeriod."""
    spec = cluster.read_spec()
    if spec is None or not spec.settings:
        return
    from wellhead.node import configuration  # what most clusters don't need takes its time to load

    try:
        periods = configuration.read(cluster.settings_file(spec.settings)).shutdown
    except configuration.ConfigurationError:
        return  # the agents can't have read it either
    if periods:
        seconds = float(sum(each.shutdown_grace_period_seconds for each in periods))
        late = shutdown.end_pods(cluster, nodes, seconds, report)
        if late:
            click.echo(f"not done with their pods within {seconds:.0f} s: {', '.join(late)}", err=True)
