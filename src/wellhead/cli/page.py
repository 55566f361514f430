"""`wellhead page`: see the ways of packets."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from wellhead.cli.options import Address
from wellhead.ip import IPAddress

# Everything else is imported when there is something to show: `--help` has to be quick.
if TYPE_CHECKING:
    from wellhead.page.guard import Guard
    from wellhead.page.source import Source

_LOOPBACK = "127.0.0.1"


@click.command("page", short_help="Draw the ways of packets in a browser, live.")
@click.option(
    "--name",
    envvar="WELLHEAD_NAME",
    show_envvar=True,
    help="A cluster of this machine.  [default: wellhead, if it is there]",
)
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="The cluster of this file instead, whichever it is.  "
    "[default: $KUBECONFIG, ~/.kube/config, if no cluster of this machine is there]",
)
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help="Manifests, Lists, a snapshot, a directory, or - for standard input, instead of a cluster. "
    "May be given several times.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Where to listen.  [default: the first free one from 8410 on]",
)
@click.option(
    "--address",
    type=Address(),
    default=_LOOPBACK,
    show_default=True,
    help="The address to listen at. Whoever can reach it and has the link can do what the page can.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in this machine's browser.")
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Let the page change objects (policies, classes, replicas) and drain or kill nodes, by the commands "
    "that it shows.",
)
def command(
    name: str | None,
    kubeconfig: str | None,
    files: tuple[str, ...],
    port: int | None,
    address: IPAddress,
    opens: bool,
    allow_changes: bool,
) -> None:
    """Draw a cluster's ways of packets as a page in the browser, which follows the cluster.

    Choose a client and an address, and see every way with its share, who rewrites which address to what and
    why, and which address the server sees. In a cluster of this machine, send a request and watch it run.

    \b
    wellhead page --open                        the cluster of this machine
    wellhead page --kubeconfig FILE             any cluster: predictions
    wellhead page -f cluster.json               a snapshot, or manifests: no cluster at all

    It is served on 127.0.0.1 alone, to whoever has the link that is printed. Ctrl-C ends it.
    """
    by_name = click.get_current_context().get_parameter_source("name") is ParameterSource.COMMANDLINE
    if sum(map(bool, (files, kubeconfig, by_name))) > 1:
        raise click.UsageError("--name, --kubeconfig and -f: one of them")
    from wellhead.page.model import Model
    from wellhead.page.opening import can_open, opened
    from wellhead.page.serving import CannotListen, bind, run
    from wellhead.snapshot.sources import NoSource

    source = _source(name, kubeconfig, files)
    try:
        sock = bind(address, port)
    except CannotListen as error:
        raise click.ClickException(str(error)) from None
    with contextlib.ExitStack() as stack:

        def announce(guard: Guard) -> None:
            _announce(guard, source)
            if opens and can_open():
                stack.enter_context(opened(guard.link))
            elif opens:
                click.echo("There is no display here: open the link where there is one.", err=True)

        try:
            run(Model(source, allow_changes=allow_changes), sock, announce)
        except NoSource as error:
            raise click.ClickException(str(error)) from None


def _source(name: str | None, kubeconfig: str | None, files: tuple[str, ...]) -> Source:
    from wellhead.page import source

    if files:
        return source.of_files(files)
    if kubeconfig:
        return source.of_kubeconfig(kubeconfig)
    from wellhead.lab.cluster import Cluster, LabError

    try:
        if name or Cluster("wellhead").read_spec() is not None:
            return source.of_cluster(name or "wellhead")
    except LabError as error:
        if name:
            raise click.ClickException(str(error)) from None
    except PermissionError:
        pass  # somebody else's cluster of this machine
    return source.of_kubeconfig(None)


def _announce(guard: Guard, source: Source) -> None:
    click.echo(f"{source.title}: open this link in a browser of this machine; Ctrl-C ends it.", err=True)
    click.echo(guard.link)
    if not guard.address.is_loopback:
        click.echo(f"It listens at {guard.address}: who has the link and reaches it may use it.", err=True)
