"""`wellhead status`: how a cluster is."""

from __future__ import annotations

import sys

import click
import msgspec

from wellhead.cli.options import cluster_option, output_option
from wellhead.lab import health, prerequisites
from wellhead.lab.cluster import Cluster, LabError
from wellhead.lab.health import Health

_NOT_HEALTHY = 1
_NO_CLUSTER = 3


@click.command("status", short_help="Show a cluster's machines, components and nodes.")
@cluster_option
@output_option
def command(name: str, output: str | None) -> None:
    """Show a cluster's machines, components, nodes and load balancers.

    Exits with 0 if everything that should run does and all nodes are Ready, with 1 if not, and with 3 if
    there is no such cluster.
    """
    try:
        prerequisites.check_host()
        found = health.examine(Cluster(name))
    except LabError as error:
        raise click.ClickException(str(error)) from None
    if found is None:
        click.echo(f"There is no cluster {name}: start one with `wellhead up --name {name}`.", err=True)
        sys.exit(_NO_CLUSTER)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _print(found)
    sys.exit(0 if found.healthy else _NOT_HEALTHY)


def _print(found: Health) -> None:
    click.echo(f"Cluster {found.name}: {'healthy' if found.healthy else 'NOT healthy'}")
    for problem in found.problems:
        click.echo(f"  - {problem}")
    click.echo(f"API server  {found.api_server}")
    click.echo(f"Proxy mode  {found.proxy_mode}")
    click.echo(f"IP family   {found.ip_family}")
    guardian = f", guarded by {found.guardian}" if found.guardian else ""
    click.echo(f"Supervisor  {found.supervisor or 'not running'}{guardian}")
    click.echo(f"Memory      {_megabytes(found.pss)} (PSS of all components)\n")
    _table(
        ["MACHINE", "COMPONENT", "PID", "RESTARTS", "SINCE", "PSS"],
        [[m.name, "", str(m.pid or "off"), _count(m.restarts), "", ""] for m in found.machines if not m.pid]
        + [
            [
                each.machine,
                each.name,
                str(each.pid or "-"),
                _count(each.restarts),
                f"{_duration(each.age)}" if each.pid else f"down {_duration(each.age)}",
                _megabytes(each.pss) if each.pid else "-",
            ]
            for each in found.components
        ],
    )
    _table(
        ["NODE", "READY", "INTERNAL-IP", "EXTERNAL-IP"],
        [
            [n.name, "yes" if n.ready else "no", ",".join(n.internal_ips), ",".join(n.external_ips)]
            for n in found.nodes
        ],
    )
    _table(
        ["LOAD BALANCER", "ADDRESS", "PORTS", "CLASS", "CLIENT-IP", "NODES"],
        [
            [
                f"{b.namespace}/{b.name}",
                ",".join(b.addresses) or "<pending>",
                ",".join(b.ports),
                b.load_balancer_class.removeprefix("wellhead.dev/") or "-",
                "; ".join(b.client_ip) or "-",
                b.reason or " ".join(f"{node}:{state}" for node, state in b.nodes.items()) or "-",
            ]
            for b in found.load_balancers
        ],
    )


def _table(heads: list[str], rows: list[list[str]]) -> None:
    if rows:
        widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
        for row in [heads, *rows]:
            click.echo(
                "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
        click.echo()


def _count(restarts: int | None) -> str:
    return "?" if restarts is None else str(restarts)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    """As kubectl prints ages."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    if whole < 7200:
        return f"{whole // 60}m"
    return f"{whole // 3600}h" if whole < 172800 else f"{whole // 86400}d"
