"""`wellhead matrix`: which source address the server sees, for every client, address and policy."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click
import msgspec

from wellhead.cli.options import cluster_option
from wellhead.ip import Family
from wellhead.lab import prerequisites
from wellhead.lab.cluster import Cluster, LabError
from wellhead.matrix import rendering
from wellhead.matrix.result import Verdict
from wellhead.matrix.run import matrix
from wellhead.matrix.stand import CannotStand
from wellhead.trace.observer import CannotWatch

_DIFFERS = 1
_OUTPUTS = {"text": rendering.text, "markdown": rendering.markdown, "html": rendering.html}


@click.command("matrix", short_help="Try every cell of the source-IP matrix.")
@cluster_option
@click.option("-4", "families", flag_value="4", help="IPv4 alone.")
@click.option("-6", "families", flag_value="6", help="IPv6 alone.")
@click.option("-o", "--output", type=click.Choice([*_OUTPUTS, "json"]), default="text", show_default=True)
def command(name: str, families: str | None, output: str) -> None:
    """Which source address does the server see? Every client, address, policy and family is tried.

    Each is predicted from the cluster's objects, sent once and traced, and the two are compared.

    It works in a namespace of its own, which it deletes. Exits with 0 when everything that could be tried
    was as predicted, 1 when something differs. Another service proxy can be put in ours' place and be
    judged: `wellhead up --proxy none`.
    """
    wanted = (Family(int(families)),) if families else ()
    try:
        prerequisites.check_host()
        with _progress(name) as report:
            found = matrix(Cluster(name), wanted, report)
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
