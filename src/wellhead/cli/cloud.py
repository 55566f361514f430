"""`wellhead cloud`: the LoadBalancer controller and its packet forwarder."""

from __future__ import annotations

from ipaddress import IPv4Network

import click

from wellhead import component
from wellhead.cli.options import logging_options
from wellhead.cloud.health import Settings
from wellhead.cloud.main import Config, clean_up, run


class _IPv4NetworkType(click.ParamType[IPv4Network]):
    name = "network"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> IPv4Network:
        try:
            return IPv4Network(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _BindAddress(click.ParamType[tuple[str, int]]):
    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@click.command("cloud", short_help="Run the LoadBalancer controller and its forwarder.")
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False),
    help="How to reach the API server. Without it: $KUBECONFIG, or the service account of the pod.",
)
@click.option(
    "--vip-pool",
    "vip_pools",
    type=_IPv4NetworkType(),
    multiple=True,
    default=("203.0.113.0/24",),
    show_default=True,
    metavar="NETWORK",
    help="A network that VIPs are taken from. Repeatable; the first with a free address is used.",
)
@click.option(
    "--forwarder-netns",
    metavar="PATH",
    help="The network namespace of the router that forwards: /run/netns/NAME, /proc/PID/ns/net, or "
    "/proc/self/fd/N for an inherited descriptor. Without it: the one that this command runs in.",
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
    type=_BindAddress(),
    default="127.0.0.1:10258",
    show_default=True,
    metavar="HOST:PORT",
    help="Where /metrics, /status (JSON: load balancers, their nodes and health) and /healthz are served.",
)
@click.option(
    "--cleanup",
    is_flag=True,
    help="Remove the forwarder's rules, routes and flows from its network namespace, and exit.",
)
@logging_options
def command(
    kubeconfig: str | None,
    vip_pools: tuple[IPv4Network, ...],
    forwarder_netns: str | None,
    health_check_interval: float,
    health_check_timeout: float,
    health_check_failures: int,
    metrics_bind_address: tuple[str, int],
    cleanup: bool,
    log_level: str,
    log_format: component.LogFormat,
) -> None:
    """Give Services of type LoadBalancer an address, and forward its packets to healthy nodes, unchanged.

    Serves Services without a loadBalancerClass and those with class wellhead.dev/forwarder. An address can
    be asked for by spec.loadBalancerIP or the annotation wellhead.dev/load-balancer-ip.

    Runs where the nodes' health checks can be reached; forwards in the router that --forwarder-netns names.
    That router needs ip_forward on, rp_filter off, the nodes as neighbours, and root. What it was told
    stays in the kernel when this command ends, and connections go on: --cleanup removes it.

    \b
    By hand, on a router that clients send packets for 203.0.113.0/24 to:
      wellhead cloud --kubeconfig admin.conf --vip-pool 203.0.113.0/24
    """
    config = Config(
        vip_pools=vip_pools,
        kubeconfig=kubeconfig,
        forwarder_netns=forwarder_netns,
        health=Settings(health_check_interval, health_check_timeout, health_check_failures),
        metrics_host=metrics_bind_address[0],
        metrics_port=metrics_bind_address[1],
    )
    main = clean_up(config) if cleanup else run(config)
    component.run("cloud", main, log_level=log_level, log_format=log_format)
