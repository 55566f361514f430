"""`wellhead kubeconfig`: how to reach a cluster's API server from the host."""

from __future__ import annotations

import click

from wellhead.cli.options import cluster_option
from wellhead.lab import kubeconfigs
from wellhead.lab.cluster import Cluster, LabError, NoCluster


@click.command("kubeconfig", short_help="Print a kubeconfig for a cluster.")
@cluster_option
def command(name: str) -> None:
    """Print a kubeconfig of the cluster's administrator, to be used on the host.

    For example:  wellhead kubeconfig > ~/.kube/config
    """
    try:
        path = Cluster(name).kubeconfig(kubeconfigs.HOST_ADMIN)
        click.echo(path.read_text(), nl=False)
    except LabError as error:
        raise click.ClickException(str(error)) from None
    except PermissionError:
        raise click.ClickException(f"{path} is root's: use sudo") from None
    except FileNotFoundError:
        raise click.ClickException(str(NoCluster(name))) from None
