"""`wellhead snapshot`: what `explain` reads of a cluster, an object a line."""

from __future__ import annotations

import sys

import click


@click.command("snapshot", short_help="Write down what explain reads of a cluster, an object a line.")
@click.option("-n", "--namespace", default="", help="Read this namespace where all may not be read.")
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE", help="Read manifests instead of a cluster."
)
@click.option(
    "--anonymise", is_flag=True, help="Replace names and addresses, consistently: the answers stay the same."
)
@click.option("--kubeconfig", help="The cluster's kubeconfig. [default: $KUBECONFIG, ~/.kube/config]")
@click.option("--context", help="A context of the kubeconfig. [default: the current one]")
def command(
    namespace: str, files: tuple[str, ...], anonymise: bool, kubeconfig: str | None, context: str | None
) -> None:
    """Write the objects that matter to packets to standard output: wellhead snapshot >cluster.json

    Services, EndpointSlices, Nodes, Pods, DaemonSets, Deployments, Ingresses, routes and gateways, what
    networks and load balancers keep in objects of their own. Never Secrets; of ConfigMaps only those of
    programs that are known to handle packets. `wellhead explain -f cluster.json` needs no cluster."""
    import secrets

    import msgspec

    from wellhead.snapshot.anonymise import Anonymiser
    from wellhead.snapshot.files import Unreadable, read_files
    from wellhead.snapshot.kinds import CONFIG_MAPS, NEVER
    from wellhead.snapshot.sources import NoSource

    try:
        if files:
            found = [each.obj for each in read_files(files)]
            unread = []
        else:
            from wellhead.snapshot.cluster import reading_of

            reading = reading_of(kubeconfig, namespace, context)
            found, unread = reading.objects, reading.unread
    except (NoSource, Unreadable) as error:
        raise click.ClickException(str(error)) from None
    objects = [
        each
        for each in found
        if each.get("kind") not in NEVER
        and (each.get("kind") != "ConfigMap" or (each.get("metadata") or {}).get("name") in CONFIG_MAPS)
    ]
    if anonymise:
        objects = Anonymiser(objects, secrets.token_hex(16)).objects()
    for each in objects:
        click.echo(msgspec.json.encode(each))
    for missing in unread:
        click.echo(f"not read: {missing.what} ({missing.why}): leaves open {missing.leaves_open}", err=True)
    sys.stdout.flush()
