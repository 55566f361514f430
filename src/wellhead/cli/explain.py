"""`wellhead explain`: which source IP does the server see, and why?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

# Everything else is imported when there is something to explain: `--help` has to be quick.
if TYPE_CHECKING:
    from wellhead.paths.way import Report
    from wellhead.paths.world import World

_OUTPUTS = ["wide", "json", "svg", "mermaid", "markdown"]
_LOSES, _UNKNOWN = 1, 3


def _complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Services and pods of the files on the line; without files, what a target may look like."""
    files = ctx.params.get("files") or ()
    if not files or "-" in files:
        return [each for each in ("svc/", "pod/") if each.startswith(incomplete)]
    from wellhead.snapshot.sources import NoSource, world_of

    try:
        world = world_of(files, None, "")
    except NoSource:
        return []
    wanted, found = ctx.params.get("namespace") or "", []
    for kind, prefix in (("Service", "svc"), ("Pod", "pod")):
        found += [f"{prefix}/{each.name}" for each in world.entries(kind) if wanted in ("", each.namespace)]
    return [each for each in found if each.startswith(incomplete)]


@click.command("explain", short_help="Say which source IP a Service's servers see, and why.")
@click.argument(
    "target",
    required=False,
    metavar="[svc/NAME|pod/NAME|ADDRESS[:PORT]]",
    shell_complete=_complete_target,
)
@click.option("-n", "--namespace", default="", help="The namespace of the Service or pod.")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help=(
        "Manifests, Lists, a snapshot, a directory, or - for standard input, "
        "instead of a cluster. May be given several times."
    ),
)
@click.option(
    "--from",
    "clients",
    multiple=True,
    metavar="CLIENT",
    help="Who dials: outside, an address, pod/NAME, node/NAME. May be given several times.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port that is dialled; every port without it."
)
@click.option("--node", default="", help="The node by which connections come in.")
@click.option("-o", "--output", type=click.Choice(_OUTPUTS), help="Everything, or another form.")
@click.option(
    "--expect-source",
    type=click.Choice(["client"]),
    help=(
        "Exit with 1 if a client loses its address on any way (clients outside, "
        "or those of --from), with 3 if one is UNKNOWN."
    ),
)
@click.option(
    "--diff",
    nargs=2,
    metavar="BEFORE AFTER",
    help="What a change does to whom: two files, snapshots or directories.",
)
@click.option("--kubeconfig", help="The cluster's kubeconfig. [default: $KUBECONFIG, ~/.kube/config]")
@click.option("--context", help="A context of the kubeconfig. [default: the current one]")
@click.option("--schema", is_flag=True, help="Print the JSON schema of -o json.")
def command(
    target: str | None,
    namespace: str,
    files: tuple[str, ...],
    clients: tuple[str, ...],
    port: int | None,
    node: str,
    output: str | None,
    expect_source: str | None,
    diff: tuple[str, str] | None,
    kubeconfig: str | None,
    context: str | None,
    schema: bool,
) -> None:
    """Predict from a cluster's objects which address the server sees, who rewrote it, and what to do.

    The first three lines are the answer: what the server sees, why, what to do. Nothing is changed and no
    packet sent. Without TARGET, every Service that is reachable from outside is answered for in a line.

    \b
    wellhead explain svc/web -n shop
    wellhead explain 192.0.2.50:80 --from 198.51.100.79
    kubectl get svc,no,po,ds,endpointslices,cm -A -o yaml | wellhead explain svc/web -n shop -f -
    """
    import gc

    from wellhead.paths.client import UnknownClient
    from wellhead.paths.targets import UnknownTarget
    from wellhead.snapshot.sources import NoSource, world_of

    if schema:
        import msgspec

        from wellhead.paths.schema import schema as published

        click.echo(msgspec.json.format(msgspec.json.encode(published()), indent=2))
        return
    gc.disable()  # all that is read is kept until the end
    click.get_current_context().call_on_close(gc.enable)
    try:
        if diff:
            _diff(diff, target, namespace, clients, port, node, output)
            return
        world = world_of(files, kubeconfig, namespace, context)
        if target is None and not expect_source:
            _overview(world, namespace, output)
            return
        if target is None:
            sys.exit(_expect_everywhere(world, namespace, clients))
        every = bool(expect_source) or output in ("json", "wide")
        report = _report(world, target, namespace, clients, port, node, every)
    except (NoSource, UnknownTarget, UnknownClient) as error:
        raise click.ClickException(str(error)) from None
    if expect_source:
        sys.exit(_expect(report, output))
    click.echo(_rendered(report, output), nl=False)


def _report(
    world: World,
    target: str,
    namespace: str,
    clients: tuple[str, ...],
    port: int | None,
    node: str,
    every: bool = True,
) -> Report:
    from wellhead.paths.explain import Question
    from wellhead.paths.report import explain

    if node and node not in world.nodes:
        raise click.BadParameter(
            f"there is no node {node!r}; there are {', '.join(sorted(world.nodes)) or 'none'}"
        )
    return explain(world, Question(target, namespace, clients, port, node, every))


def _rendered(report: Report, output: str | None) -> str:
    from wellhead.paths.rendering import text
    from wellhead.paths.schema import encode

    if output == "json":
        return encode(report).decode() + "\n"
    if output in ("svg", "mermaid"):
        return text.picture(report, output)
    if output == "markdown":
        return text.markdown(report)
    return text.text(report, wide=output == "wide")


def _overview(world: World, namespace: str, output: str | None) -> None:
    """A line for every Service that clients outside may reach."""
    from wellhead.paths.overview import overview

    if output not in (None, "wide"):
        raise click.UsageError("say which Service, pod or address")
    lines = overview(world, namespace)
    if not lines:
        raise click.ClickException(
            "no Service is reachable from outside: say svc/NAME, pod/NAME or ADDRESS[:PORT]"
        )
    click.echo("\n".join(lines))


def _expect(report: Report, output: str | None) -> int:
    """Whether every way keeps the client's address."""
    from wellhead.paths.expectation import verdicts
    from wellhead.paths.schema import encode

    found = verdicts(report)
    if output == "json":
        click.echo(encode(report))
    for each in found:
        click.echo(str(each), err=output == "json")
    if any(each.lost for each in found):
        return _LOSES
    return _UNKNOWN if found else 0


def _expect_everywhere(world: World, namespace: str, clients: tuple[str, ...]) -> int:
    """The same for every Service that is reachable from outside."""
    from wellhead.paths.overview import reachable

    worst = 0
    for target, space in reachable(world, namespace):
        code = _expect(_report(world, target, space, clients, None, ""), None)
        worst = _LOSES if _LOSES in (code, worst) else max(code, worst)
    return worst


def _diff(
    files: tuple[str, str],
    target: str | None,
    namespace: str,
    clients: tuple[str, ...],
    port: int | None,
    node: str,
    output: str | None,
) -> None:
    """What differs between two worlds."""
    from wellhead.paths.difference import differences
    from wellhead.paths.overview import reachable
    from wellhead.snapshot.sources import world_of

    before, after = (world_of((each,), None, namespace) for each in files)
    targets = (
        [(target, namespace)]
        if target
        else list(dict.fromkeys([*reachable(before, namespace), *reachable(after, namespace)]))
    )
    found = [
        line
        for each, space in targets
        for line in differences(
            _or_none(before, each, space, clients, port, node),
            _or_none(after, each, space, clients, port, node),
        )
    ]
    if output == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo("\n".join(map(str, found)) or "Nothing changes for anybody.")
    sys.exit(1 if found else 0)


def _or_none(
    world: World, target: str, namespace: str, clients: tuple[str, ...], port: int | None, node: str
) -> Report | None:
    from wellhead.paths.targets import UnknownTarget

    try:
        return _report(world, target, namespace, clients, port, node)
    except UnknownTarget:
        return None
