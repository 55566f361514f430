"""`wellhead exec`: run a command on a host."""

from __future__ import annotations

import os
import sys

import click

from wellhead.cli import hosts
from wellhead.cli.options import cluster_option
from wellhead.lab import guest, prerequisites
from wellhead.lab.cluster import Cluster, LabError


@click.command(
    "exec", short_help="Run a command on a host.", context_settings={"ignore_unknown_options": True}
)
@cluster_option
@click.argument("host", shell_complete=hosts.complete)
@click.argument("argv", metavar="-- CMD [ARG]…", nargs=-1, required=True, type=click.UNPROCESSED)
def command(name: str, host: str, argv: tuple[str, ...]) -> None:
    """Run a command on HOST: client, edge, control-plane, cloud, node-1, …

    It runs in the host's network, with kubectl and a KUBECONFIG that works there, and with the files of this
    machine. Exits with the command's status: 128 + N if signal N ended it, 127 if it isn't found.
    """
    try:
        prerequisites.check_host()
        cluster = Cluster(name)
        status = guest.run(guest.find(cluster, host), argv, guest.environment(cluster, host, os.environ))
    except LabError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)
