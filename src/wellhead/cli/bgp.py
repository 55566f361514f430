"""`wellhead bgp`: a node's VIPs announced to its routers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wellhead import component, ports
from wellhead.cli.options import Address, built_in_images_option, health_option, logging_options
from wellhead.cloud.bgp.config import Peer
from wellhead.cloud.bgp.options import Options, resolve
from wellhead.cloud.bgp.speaker import clean_up, run
from wellhead.cloud.options import OptionError
from wellhead.ip import parse_address

_AS = click.IntRange(1, 4294967295)


class _Peer(click.ParamType[Peer]):
    name = "address=as"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Peer:
        address, _, asn = str(value).partition("=")
        found = parse_address(address)
        if found is None or not asn:
            self.fail(f"{value!r} is not ADDRESS=AS, 10.240.0.1=64512 for one", param, ctx)
        return Peer(found, _AS(asn, param, ctx))


@click.command("bgp", short_help="Announce load balancers' VIPs from a node, by BGP.")
@click.option("--kubeconfig", help="How to reach the API server; without it, as kubectl finds it.")
@click.option("--node-name", help="This node's name.  [default: the host's name, in lower case]")
@click.option("--as", "asn", type=_AS, required=True, metavar="NUMBER", help="Our autonomous system.")
@click.option(
    "--peer",
    type=_Peer(),
    multiple=True,
    required=True,
    metavar="ADDRESS=AS",
    help="A router that is told, and its autonomous system; it hears of VIPs of its address' family.",
)
@click.option(
    "--router-id",
    type=Address(),
    metavar="IPV4",
    help="What tells this node from others.  [default: --node-address, or a number made of the node's name]",
)
@click.option(
    "--node-address",
    type=Address(),
    default="127.0.0.1",
    show_default=True,
    metavar="IP",
    help="Where this node's service proxy tells its health, on port 10256.",
)
@click.option(
    "--hold-time",
    type=click.IntRange(3, 65535),
    default=9,
    show_default=True,
    metavar="SECONDS",
    help="How long a router goes on sending here without a word from us, to a dead node too.",
)
@click.option(
    "--bfd", is_flag=True, help="Agree on BFD with peers, which notices a dead node in under a second."
)
@click.option("--multihop", is_flag=True, help="Peers need not be neighbours.")
@click.option(
    "--listen-port",
    type=click.IntRange(1, 65535),
    default=179,
    show_default=True,
    help="Where peers may call. Another one where something else on the node speaks BGP (Calico, for one).",
)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The sessions' password (TCP MD5), in the file's first line.",
)
@click.option(
    "--bird",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The BIRD (2.0 or newer) to run.  [default: the one that is installed, else the built-in image's]",
)
@built_in_images_option
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=Path("/run/wellhead/bgp"),
    show_default=True,
    help="Where BIRD's configuration and socket are; by it, a running BIRD is found again.",
)
@click.option("--cleanup", is_flag=True, help="End BIRD, so that routers forget this node's VIPs, and exit.")
@health_option(ports.BGP_HEALTH)
@logging_options
def command(cleanup: bool, log_level: str, log_format: component.LogFormat, **given: Any) -> None:
    """Tell routers which VIPs of Services of type LoadBalancer this node leads to its endpoints.

    One runs on every node, beside the service proxy. Routers spread connections over the nodes that announce
    a VIP (ECMP): under policy Cluster all, under Local those with a ready endpoint, and the client's address
    arrives. VIPs come from `wellhead cloud --bgp`. A node announces nothing while its service proxy isn't
    well, or the Node is excluded from load balancers.

    BIRD speaks, in a configuration of its own that leaves the kernel's routes alone. It goes on with what it
    was told last when this process ends or is killed; the next one takes it over, --cleanup ends it.

    \b
    On each node, with a router 10.240.0.1 of AS 64512:
      wellhead bgp --kubeconfig admin.conf --as 64513 --peer 10.240.0.1=64512
    """
    try:
        config = resolve(Options(**given))
    except OptionError as error:
        raise click.UsageError(str(error)) from None
    main = clean_up(config) if cleanup else run(config)
    component.run("bgp", main, log_level=log_level, log_format=log_format)
