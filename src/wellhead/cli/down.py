"""`wellhead down`: remove a cluster."""

from __future__ import annotations

import click

from wellhead.cli.options import cluster_option
from wellhead.cli.progress import progress
from wellhead.clusters import starting
from wellhead.lab import prerequisites, teardown
from wellhead.lab.cluster import Cluster, LabError


@click.command("down", short_help="Stop a cluster and remove every trace of it.")
@cluster_option
@click.option("--all", "everything", is_flag=True, help="Remove all clusters of this machine.")
@click.option(
    "--now",
    is_flag=True,
    help="Don't let nodes end their pods first, also where their configuration has a shutdownGracePeriod.",
)
def command(name: str, everything: bool, now: bool) -> None:
    """Remove a cluster: every process, namespace, mount and file of it.

    It needs nothing of the cluster to be in order, and is no error if there is none. Images stay. Exits
    with 1 if something could not be removed.
    """
    try:
        prerequisites.check_host()
        for each in teardown.names() if everything else [name]:
            with progress(f"Removing {each}") as report:
                was_there, remark = starting.remove(Cluster(each), now=now, report=report)
            if remark:
                click.echo(remark, err=True)
            click.echo(f"Removed {each}." if was_there else f"There is no cluster {each}.")
    except LabError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("Interrupted: `wellhead down` again removes what is left.", err=True)
        raise click.Abort from None
