"""`wellhead matrix`: which source address the server sees, for every client, address and policy."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click
import msgspec

from wellhead.cli.options import cluster_option
from wellhead.ip import Family, Protocol
from wellhead.lab import prerequisites
from wellhead.lab.cluster import Cluster, LabError
from wellhead.matrix import rendering
from wellhead.matrix.policies import policy_matrix
from wellhead.matrix.result import Verdict
from wellhead.matrix.run import matrix
from wellhead.matrix.stand import CannotStand
from wellhead.trace.observer import CannotWatch

_DIFFERS = 1
_OUTPUTS = {"text": rendering.text, "markdown": rendering.markdown, "html": rendering.html}


class Dialled(click.ParamType[tuple[Protocol, int]]):
    """A port, and its protocol if that isn't TCP."""

    name = "PORT[/PROTOCOL]"

    def convert(
        self, value: str | tuple[Protocol, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Protocol, int]:
        if isinstance(value, tuple):
            return value
        number, _, protocol = value.partition("/")
        if protocol.upper() not in ("", "TCP", "UDP"):
            self.fail(f"{protocol} can't be sent here: TCP and UDP can", param, ctx)
        if not number.isdigit() or not 0 < int(number) < 65536:
            self.fail(f"{number!r} is no port", param, ctx)
        return Protocol(protocol.upper() or "TCP"), int(number)


@click.command("matrix", short_help="Try every cell of the source-IP matrix.")
@cluster_option
@click.option("-4", "families", flag_value="4", help="IPv4 alone.")
@click.option("-6", "families", flag_value="6", help="IPv6 alone.")
@click.option(
    "--policies",
    "of_policies",
    is_flag=True,
    help="Instead, what NetworkPolicies let through: every pair of the pods that are there, at each port "
    "that their containers declare.",
)
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, help="With --policies: pods of this one (repeatable)."
)
@click.option(
    "--port",
    "ports",
    type=Dialled(),
    multiple=True,
    help="With --policies: this port, 8080 or 53/UDP say (repeatable).",
)
@click.option("-o", "--output", type=click.Choice([*_OUTPUTS, "json"]), default="text", show_default=True)
def command(
    name: str,
    families: str | None,
    of_policies: bool,
    namespaces: tuple[str, ...],
    ports: tuple[tuple[Protocol, int], ...],
    output: str,
) -> None:
    """Which source address does the server see? Every client, address, policy and family is tried.

    Each is predicted from the cluster's objects, sent once and traced, and the two are compared.

    It works in a namespace of its own, which it deletes. Exits with 0 when everything that could be tried
    was as predicted, 1 when something differs. Another service proxy can be put in ours' place and be
    judged: `wellhead up --proxy none`.

    With --policies it is pods by pods: whether a packet of the one comes to the other, as NetworkPolicies of
    the cluster say and as the packet shows. Nothing is created for that; somebody else's enforcement is
    judged as well: `wellhead up --policy none`.
    """
    wanted = (Family(int(families)),) if families else ()
    if (namespaces or ports) and not of_policies:
        raise click.UsageError("-n and --port belong to --policies")
    try:
        prerequisites.check_host()
        with _progress(name) as report:
            found = (
                policy_matrix(Cluster(name), wanted, namespaces, ports, report)
                if of_policies
                else matrix(Cluster(name), wanted, report)
            )
    except (LabError, CannotStand, CannotWatch) as error:
        raise click.ClickException(str(error)) from None
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo("\n".join(_OUTPUTS[output](found)))
    sys.exit(_DIFFERS if found.count(Verdict.DIFFERS) else 0)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A line that changes on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), MofNCompleteColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(f"{name}: putting up server, clients and Services", total=None)
        yield lambda done, all_: bar.update(task, description=f"{name}: cells", completed=done, total=all_)
