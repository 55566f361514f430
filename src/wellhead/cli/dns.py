"""`wellhead dns`: the cluster domain's DNS server."""

from __future__ import annotations

from ipaddress import ip_address

import click

from wellhead import component, ports
from wellhead.cli.options import Address, health_option, logging_options
from wellhead.component import LogFormat
from wellhead.dns.main import Config, run
from wellhead.dns.service import MOST_SERVERS
from wellhead.ip import IPAddress

_PORT = 53


class _HostPort(click.ParamType[tuple[str, int]]):
    """An address and a port; the port may be left out where there is a usual one."""

    name = "address[:port]"

    def __init__(self, usual: int) -> None:
        self._usual = usual

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, port = str(value), str(self._usual)
        if host.startswith("[") or host.count(":") == 1:
            host, _, given = host.rpartition(":") if not host.endswith("]") else (host, "", port)
            port = given
        try:
            address = str(ip_address(host.removeprefix("[").removesuffix("]")))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            self.fail(f"{port!r} is no port", param, ctx)
        return address, int(port)


@click.command("dns", short_help="Run the cluster domain's DNS server.")
@click.option("--kubeconfig", help="How to reach the API server; without it, as kubectl finds it.")
@click.option("--cluster-domain", default="cluster.local", show_default=True, metavar="DOMAIN")
@click.option(
    "--bind-address",
    type=Address(),
    multiple=True,
    default=("127.0.0.1",),
    show_default=True,
    help="Listen on this address, by UDP and TCP (repeatable). One that clients ask, not 0.0.0.0 or ::, by "
    "which an answer may come from another address than was asked.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True)
@click.option(
    "--listen-fd",
    type=click.IntRange(0),
    multiple=True,
    help="Serve this inherited socket, UDP or listening TCP, instead of making those (repeatable).",
)
@click.option(
    "--service-cluster-ip",
    type=Address(),
    multiple=True,
    help="Keep the Service kube-dns in kube-system on this ClusterIP, with endpoints that lead here "
    "(repeatable: one IPv4, one IPv6, the primary family's first). Without it, no object is written.",
)
@click.option(
    "--number",
    type=click.IntRange(1, MOST_SERVERS),
    default=1,
    show_default=True,
    help="Of several servers that share the Service, each has another one.",
)
@click.option(
    "--forward",
    type=_HostPort(_PORT),
    multiple=True,
    help="Ask this resolver for names outside of the cluster domain (repeatable: the next one is asked when "
    "one doesn't answer). Without it, such names don't exist.",
)
@click.option(
    "--metrics-bind-address",
    type=_HostPort(9153),
    default="127.0.0.1:9153",
    show_default=True,
    help="Where CoreDNS' /metrics, /health and /ready are served.",
)
@health_option(ports.HEALTH["dns"])
@logging_options
def command(
    kubeconfig: str | None,
    cluster_domain: str,
    bind_address: tuple[IPAddress, ...],
    port: int,
    listen_fd: tuple[int, ...],
    service_cluster_ip: tuple[IPAddress, ...],
    number: int,
    forward: tuple[tuple[str, int], ...],
    metrics_bind_address: tuple[str, int],
    healthz_bind_address: tuple[str, int] | None,
    log_level: str,
    log_format: LogFormat,
) -> None:
    """Answer for the names of Services and pods, as the Kubernetes API has them.

    \b
    By hand, with the host's resolver for everything else:
      wellhead dns --kubeconfig admin.conf --port 5353 --forward 192.0.2.53
      dig @127.0.0.1 -p 5353 kubernetes.default.svc.cluster.local
    """
    for address in bind_address:
        if address.is_unspecified:
            raise click.UsageError(f"--bind-address {address}: give each address that clients ask")
        if (str(address), port) in forward:
            raise click.UsageError(f"--forward {address}: that is this server itself")
    if service_cluster_ip:
        families = [address.version for address in service_cluster_ip]
        served = [address.version for address in bind_address]
        if len(set(families)) < len(families) or sorted(families) != sorted(served):
            raise click.UsageError("--service-cluster-ip: one of each family, and a --bind-address for each")
    domain = cluster_domain.strip(".").lower()
    if not domain or len(domain) > 200 or any(not 0 < len(each) < 64 for each in domain.split(".")):
        raise click.UsageError(f"--cluster-domain {cluster_domain!r} is no domain")
    config = Config(
        kubeconfig,
        domain,
        bind_address,
        port,
        listen_fds=listen_fd,
        cluster_ips=service_cluster_ip,
        upstreams=forward,
        metrics_host=metrics_bind_address[0],
        metrics_port=metrics_bind_address[1],
        health=healthz_bind_address,
        number=number,
    )
    component.run("dns", run(config), log_level=log_level, log_format=log_format)
