"""`wellhead tutorial`: the walk through “Using Source IP”, told on the terminal or as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from wellhead.cli.options import output_option
from wellhead.clusters import starting
from wellhead.lab import prerequisites, readiness, startup, teardown
from wellhead.lab.addresses import IPV4, IpFamily
from wellhead.lab.cluster import Cluster, ClusterSpec, LabError
from wellhead.tutorial.shells import ShellError
from wellhead.tutorial.steps import Section
from wellhead.tutorial.walk import Outcome, Walk

_OWN_CLUSTER = "tutorial"
_START_TIMEOUT = 60.0
_LONGEST_OUTPUT = 12  # lines shown of an answer that is right


@click.command("tutorial", short_help="Walk through Kubernetes' “Using Source IP”, checking every step.")
@click.option(
    "--name",
    envvar="WELLHEAD_NAME",
    show_envvar=True,
    help="Walk on this cluster; if it runs already, it is left running.  "
    f"[default: one of the walk's own, called {_OWN_CLUSTER}]",
)
@click.option(
    "--proxy-mode",
    metavar="MODE",
    help=f"The service proxy's mode.  [default: {startup.DEFAULT_PROXY_MODE}, or as the cluster has it]",
)
@click.option(
    "--ip-family",
    type=click.Choice(["ipv4", "dual"]),
    help="The cluster's addresses; the tutorial itself is about IPv4.  "
    "[default: dual, or as the cluster has it, or ipv4 where the kernel has no IPv6]",
)
@click.option("--keep", is_flag=True, help="Leave the cluster running afterwards.")
@output_option
def command(
    name: str | None, proxy_mode: str | None, ip_family: IpFamily | None, keep: bool, output: str | None
) -> None:
    """Walk through Kubernetes' tutorial “Using Source IP” on a real cluster, and check every answer.

    Each command is shown as it is typed, with its real output, and a tick or what differs. Exits with 0 if
    every step went as the tutorial says, else 1. Ctrl-C ends the walk and removes the cluster.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves as little behind as Ctrl-C does
    begin = time.monotonic()
    outcomes: list[Outcome] = []
    teller = _Silent() if output == "json" else _Teller()
    problem = ""
    try:
        with (
            _cluster(name, proxy_mode, ip_family, keep) as spec,
            Walk(spec.name, str(IPV4.client), spec.proxy_mode) as walk,
        ):
            for section in walk.sections():
                teller.section(section)
                for outcome in walk.run(section):
                    teller.outcome(outcome)
                    outcomes.append(outcome)
    except (LabError, ShellError) as error:
        problem = str(error)
    seconds = time.monotonic() - begin
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    if output == "json":
        steps = [asdict(outcome) | {"ok": outcome.ok} for outcome in outcomes]
        click.echo(json.dumps({"ok": not (wrong or problem), "problem": problem, "steps": steps}, indent=2))
    elif problem:
        click.secho(f"\nThe walk could not go on: {problem}", fg="red")
    else:
        right = len(outcomes) - len(wrong)
        click.echo(f"\n{right} of {len(outcomes)} steps as the tutorial says, in {seconds:.0f} s.")
    if wrong or problem:
        raise SystemExit(1)


@contextlib.contextmanager
def _cluster(
    name: str | None, proxy_mode: str | None, ip_family: IpFamily | None, keep: bool
) -> Iterator[ClusterSpec]:
    """A running cluster; removed afterwards if it was started here."""
    prerequisites.check_all()
    cluster = Cluster(name or _OWN_CLUSTER)
    if name is None:
        teardown.remove(cluster)  # what a walk that was killed may have left
    spec = cluster.read_spec()
    if spec is not None and spec.ip_family == "ipv6":
        raise LabError(
            f"the tutorial is about IPv4, and cluster {cluster.name} has no IPv4: name another one"
        )
    click.echo(f"Starting cluster {cluster.name} …", err=True)
    started: startup.Started | None = None
    try:
        with starting.turn(cluster, lambda text: click.echo(text, err=True)):
            started = startup.start(cluster, startup.Wishes(proxy_mode=proxy_mode, ip_family=ip_family))
            if started.remark:
                click.echo(started.remark, err=True)
            asyncio.run(readiness.wait(cluster, started, _START_TIMEOUT, lambda progress: None))
        yield started.spec
    finally:
        if started is not None and started.is_new and not keep:
            click.echo(f"Removing cluster {cluster.name} …", err=True)
            teardown.remove(cluster)


class _Teller:
    """Tells the walk to a person, as it goes."""

    def section(self, section: Section) -> None:
        click.secho(f"\n{section.title}", bold=True)
        click.echo(click.wrap_text(section.text, width=100))

    def outcome(self, outcome: Outcome) -> None:
        if outcome.note:
            click.secho(f"\n  # {outcome.note}", dim=True)
        else:
            click.echo()
        prompt = {"client": "client $", "pod busybox": "/ #"}.get(outcome.host, f"{outcome.host} #")
        click.echo(f"  {prompt} " + click.style(outcome.command, bold=True))
        lines = outcome.output.strip("\n").splitlines()
        for line in lines if not outcome.ok else lines[:_LONGEST_OUTPUT]:
            click.echo(f"    {line}")
        if outcome.ok and len(lines) > _LONGEST_OUTPUT:
            click.secho(f"    … {len(lines) - _LONGEST_OUTPUT} more lines", dim=True)
        if outcome.ok:
            click.secho("  ✓", fg="green")
        if outcome.drawing:
            click.echo("\n    What happened, as a packet that was followed drew it:\n")
            click.echo("\n".join(f"      {line}".rstrip() for line in outcome.drawing.splitlines()))
        for difference in outcome.differences:
            click.secho(f"  ✗ {difference}", fg="red")


class _Silent(_Teller):
    """Says nothing meanwhile: JSON comes at the end."""

    def section(self, section: Section) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        pass
