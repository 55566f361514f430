"""`wellhead trace`: send one real request, and show every place that it came through."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from click.shell_completion import CompletionItem

from wellhead.cli import hosts
from wellhead.cli.options import cluster_option
from wellhead.ip import Family
from wellhead.lab import kubeconfigs, prerequisites, topology
from wellhead.lab.cluster import Cluster, LabError
from wellhead.paths.rendering.mermaid import mermaid
from wellhead.paths.rendering.svg import svg
from wellhead.paths.way import Disposition, Way
from wellhead.snapshot.sources import NoSource, world_of
from wellhead.trace import policies, text
from wellhead.trace.compare import differences
from wellhead.trace.here import watch_cluster
from wellhead.trace.nodes import watch_nodes
from wellhead.trace.observer import CannotWatch
from wellhead.trace.predict import predict
from wellhead.trace.request import How
from wellhead.trace.session import Session
from wellhead.trace.target import Frontend, Unclear, Wanted

_NOT_DELIVERED = 1
_USAGE = 2
_DIFFERS = 3
_PICTURES = {"svg": svg, "mermaid": mermaid}


def _complete_client(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return hosts.complete(ctx, param, incomplete)


@click.command("trace", short_help="Send one real request and show every hop and rewrite.")
@cluster_option
@click.option(
    "--from",
    "client",
    default=topology.CLIENT,
    show_default=True,
    shell_complete=_complete_client,
    help="Where it is sent: client, pod/NAME, pod/NAMESPACE/NAME, node/NAME, or any machine.",
)
@click.option("--to", "target", required=True, help="svc/NAME[:PORT], pod/NAME[:PORT] or ADDRESS:PORT.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Of names without one.")
@click.option("--via", default="", metavar="NODE", help="Dial this node's port of the Service.")
@click.option(
    "--by",
    "frontend",
    type=click.Choice([str(each) for each in Frontend]),
    help="Which of the Service's addresses to dial.  [default: from outside the load balancer's, "
    "else an external IP, else a node port; from inside the ClusterIP]",
)
@click.option("--tcp", "how", flag_value="tcp", help="Connect, and send nothing.")
@click.option(
    "--http", "how", flag_value="http", help="Send GET /. The default for ports named or numbered so."
)
@click.option("--udp", "how", flag_value="udp", help="Send one datagram.")
@click.option("--path", default="/", show_default=True, help="What --http asks for.")
@click.option("-6", "ipv6", is_flag=True, help="Dial an IPv6 address.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    help="Seconds to wait for an answer, where no rule was seen to end the request.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "wide", "json", "svg", "mermaid"]),
    default="text",
    show_default=True,
    help="wide adds every rule that the packet met.",
)
@click.option(
    "--compare",
    is_flag=True,
    help="Put beside it what `wellhead explain` predicts; a difference is an error.",
)
@click.option(
    "--pcapng",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the packets to this file, with names of places and a comment on each.",
)
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="Trace in the cluster of this file, whichever it is, by the helpers that deploy/trace puts on its "
    "nodes; `client` is this machine.",
)
def command(
    name: str,
    client: str,
    target: str,
    namespace: str,
    via: str,
    frontend: str | None,
    how: str | None,
    path: str,
    ipv6: bool,
    timeout: float,
    output: str,
    compare: bool,
    pcapng: Path | None,
    kubeconfig: str | None,
) -> None:
    """Send one real request in a cluster of this machine, and follow exactly that one: through every network
    namespace, in both directions, with each rule that rewrote or ended it.

    \b
      wellhead trace --to svc/clusterip
      wellhead trace --from pod/busybox --to svc/clusterip
      wellhead trace --to svc/nodeport --via node-2
      wellhead trace --to 203.0.113.10:80 -o wide

    Nothing is left behind, and no other connection is touched: the request is recognised by the sequence
    number that its client chooses. Exits with 0 when the server answered, 1 when it didn't, 2 when the
    question is wrong, 3 when --compare finds a difference.
    """  # fmt: skip
    wanted = Wanted(
        target,
        namespace,
        from_outside=client == topology.CLIENT,
        family=Family.IPV6 if ipv6 else None,
        frontend=Frontend(frontend) if frontend else None,
        via=via,
        how=How(how) if how else None,
    )
    try:
        with _watched(name, kubeconfig) as session:
            found = session.send(client, wanted, seconds=timeout, path=path)
            packets = session.pcapng() if pcapng is not None else b""
    except (LabError, CannotWatch) as error:
        raise click.ClickException(str(error)) from None
    except Unclear as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_USAGE)
    if pcapng is not None:
        pcapng.write_bytes(packets)
    by_policy = policies.is_dropped_by_policies(found)
    predicted = _predicted(name, kubeconfig, namespace, found.way) if compare or by_policy else None
    found = policies.named(found, predicted)
    differing = differences(predicted, found.way) if compare and predicted is not None else ()
    outcome = found.way.outcomes[0]
    if output == "json":
        shown = {"trace": found, "predicted": predicted, "differences": differing} if compare else found
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
    elif output in _PICTURES:
        click.echo(_PICTURES[output](found.way, outcome))
    else:
        click.echo("\n".join(text.lines(found, wide=output == "wide")))
    if compare and output in ("text", "wide"):
        click.echo("\n".join(("", *text.comparison(predicted, differing))))
    if differing:
        sys.exit(_DIFFERS)
    sys.exit(0 if outcome.disposition is Disposition.DELIVERED else _NOT_DELIVERED)


def _watched(name: str, kubeconfig: str | None) -> Session:
    if kubeconfig is not None:
        return watch_nodes(kubeconfig)
    prerequisites.check_host()
    return watch_cluster(Cluster(name), payloads=True)


def _predicted(name: str, kubeconfig: str | None, namespace: str, observed: Way) -> Way | None:
    kubeconfig = kubeconfig or str(Cluster(name).kubeconfig(kubeconfigs.HOST_ADMIN))
    try:
        return predict(world_of((), kubeconfig, namespace), observed)
    except NoSource as error:
        raise click.ClickException(str(error)) from None
