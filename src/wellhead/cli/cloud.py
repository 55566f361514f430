"""`wellhead cloud`: the LoadBalancer controller, its packet forwarder and its terminating proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wellhead import component, ports
from wellhead.api.names import PROXY_CLASS
from wellhead.cli.leases import lease_options
from wellhead.cli.options import Address, BindAddress, Network, built_in_images_option, logging_options
from wellhead.cloud.main import clean_up, run
from wellhead.cloud.options import WITHOUT_ADDRESS, OptionError, Options, resolve


@click.command("cloud", short_help="Run the LoadBalancer controller and its forwarder.")
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False),
    help="How to reach the API server. Without it: $KUBECONFIG, or the service account of the pod.",
)
@click.option(
    "--vip-pool",
    type=Network(),
    multiple=True,
    metavar="NETWORK",
    help="A network that VIPs are taken from. Repeatable; the first of a family with a free address is used. "
    " [default: 203.0.113.0/24]",
)
@click.option(
    "--pools",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Pools instead, as MetalLB's IPAddressPool objects in YAML: ranges, for whom they are, which "
    "addresses are never given. Read once.",
)
@click.option(
    "--forwarder-netns",
    metavar="PATH",
    help="The network namespace of the router that forwards: /run/netns/NAME, /proc/PID/ns/net, or "
    "/proc/self/fd/N for an inherited descriptor. Without it: the one that this command runs in.",
)
@click.option(
    "--proxy-address",
    type=Address(),
    multiple=True,
    metavar="IP",
    help="This machine's own address on the nodes' network: enables the class wellhead.dev/proxy, whose "
    "HAProxy runs here and dials nodes from this address. Repeatable: one IPv4, one IPv6.",
)
@click.option(
    "--haproxy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The HAProxy (2.6 or newer) to run. Without it: the one of the built-in image.",
)
@built_in_images_option
@click.option(
    "--proxy-state-dir",
    type=click.Path(path_type=Path),
    default=Path("/run/wellhead/proxy"),
    show_default=True,
    help="Where HAProxy's configuration and sockets are; by it, a running HAProxy is found again.",
)
@click.option(
    "--proxy-dials-endpoints",
    is_flag=True,
    help="Pods can be reached from here: serve Services without node ports too, by dialling their endpoints.",
)
@click.option(
    "--proxy-max-header-bytes",
    type=click.IntRange(4096, 1 << 20),
    default=32768,
    show_default=True,
    metavar="BYTES",
    help="How large a request's or an answer's headers may be. A connection takes twice as much memory.",
)
@click.option(
    "--proxy-max-headers",
    type=click.IntRange(50, 32767),
    default=200,
    show_default=True,
    help="How many there may be.",
)
@click.option(
    "--proxy-idle-timeout",
    type=click.IntRange(1, 86400 * 20),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="How long a connection may be silent before the proxy ends it.",
)
@click.option(
    "--health-check-interval",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often each node is checked.",
)
@click.option(
    "--health-check-timeout",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a node's answer.",
)
@click.option(
    "--health-check-failures",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How many failures in a row take a node out. One success brings it back.",
)
@click.option(
    "--metrics-bind-address",
    type=BindAddress(),
    default=f"127.0.0.1:{ports.HEALTH['cloud']}",
    show_default=True,
    metavar="HOST:PORT",
    help="Where /metrics, /status (JSON: load balancers, their nodes and health), /healthz, /livez and "
    "/readyz are served.",
)
@click.option(
    "--announce",
    multiple=True,
    metavar="INTERFACE",
    help="Answer for VIPs by ARP and neighbour discovery at this interface, on the network that nodes share "
    "with clients or their router. Repeatable. Nodes answer clients through their own gateway then, not "
    "through this machine; it may be a node itself. Implies --leader-elect.",
)
@click.option(
    "--bgp",
    is_flag=True,
    help="Only give VIPs: each node announces by BGP those that it leads to its endpoints (`wellhead bgp`), "
    "and nothing is forwarded here.",
)
@lease_options("wellhead-cloud", "on with --announce, else off")
@click.option(
    "--cleanup",
    is_flag=True,
    help="Remove the forwarder's rules, routes and flows from its network namespace, end HAProxy (if "
    "--proxy-address is given), and exit. A controller that runs would put them back: stop it first.",
)
@logging_options
def command(cleanup: bool, log_level: str, log_format: component.LogFormat, **given: Any) -> None:
    """Give Services of type LoadBalancer an address, and lead what clients send there to healthy nodes.

    Serves Services without a loadBalancerClass and those of class wellhead.dev/forwarder by forwarding their
    packets unchanged, and, with --proxy-address, those of class wellhead.dev/proxy by HAProxy, which ends the
    client's connection and makes its own. An address can be asked for by spec.loadBalancerIP or annotation
    wellhead.dev/load-balancer-ip; how a proxy tells the server of the client, by wellhead.dev/client-ip.

    Runs where the nodes' health checks can be reached; forwards in the router that --forwarder-netns names.
    That router needs ip_forward on, rp_filter off, the nodes (and this machine) as neighbours, and root. What
    it was told stays in the kernel when this command ends, HAProxy stays too, and connections go on:
    --cleanup removes it all.

    \b
    By hand, on a router that clients send packets for 203.0.113.0/24 to:
      wellhead cloud --kubeconfig admin.conf --vip-pool 203.0.113.0/24
    On two machines or more of the nodes' network, nodes or not, with addresses of it that nobody else has:
      wellhead cloud --kubeconfig admin.conf --vip-pool 10.240.0.128/27 --announce eth0
    """
    try:
        config = resolve(Options(**given))
    except OptionError as error:
        raise click.UsageError(str(error)) from None
    if config.proxy is None and config.no_proxy != WITHOUT_ADDRESS:
        click.echo(f"Services of class {PROXY_CLASS} are refused: {config.no_proxy}", err=True)
    main = clean_up(config) if cleanup else run(config)
    component.run("cloud", main, log_level=log_level, log_format=log_format)
