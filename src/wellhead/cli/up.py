"""`wellhead up`: start a cluster, finish starting it, or change its size."""

from __future__ import annotations

import time
from pathlib import Path

import click

from wellhead.cli.options import cluster_option
from wellhead.cli.progress import progress
from wellhead.clusters import starting
from wellhead.lab import prerequisites, startup, teardown
from wellhead.lab.addresses import IP_FAMILIES, IpFamily
from wellhead.lab.cluster import NODE_PROCESSES, STORAGES, Cluster, LabError, NodeProcesses, Storage
from wellhead.lab.startup import Started, Wishes

_NONE = "none"
_OURS_OR_NONE = ("wellhead", _NONE)


@click.command("up", short_help="Start a cluster, or finish starting it.")
@cluster_option
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    help=f"How many nodes; more or fewer than before adds or removes the last ones.  "
    f"[default: {startup.DEFAULT_NODES}, or as before]",
)
@click.option(
    "--proxy-mode",
    type=click.Choice(startup.PROXY_MODES),
    help=f"The service proxy's mode.  [default: {startup.DEFAULT_PROXY_MODE}, or as before]",
)
@click.option(
    "--ip-family",
    type=click.Choice(IP_FAMILIES),
    help="The addresses of pods, nodes and Services; IPv4 comes first in dual. It can't change later.  "
    "[default: dual, or ipv4 where the kernel has no IPv6]",
)
@click.option(
    "--proxy",
    type=click.Choice(_OURS_OR_NONE),
    help="none: without a service proxy, so that another can be put in its place. What ours has written "
    "stays until `wellhead proxy --cleanup` on each node.  [default: wellhead, or as before]",
)
@click.option(
    "--cloud",
    type=click.Choice(_OURS_OR_NONE),
    help="none: without our load balancers, so that others can be put in their place.  "
    "[default: wellhead, or as before]",
)
@click.option(
    "--allow-spoofing",
    "spoofing",
    metavar="NAMESPACE",
    multiple=True,
    help="Pods of this namespace may send packets with a source address that isn't theirs (repeatable; '' "
    "for none).  [default: no pod may, or as before]",
)
@click.option(
    "--dns",
    type=click.Choice(_OURS_OR_NONE),
    help="none: without our DNS server, so that another can be put in its place: pods ask the tenth address "
    "of the Services' range. The Service kube-dns, if there is one, stays.  "
    "[default: wellhead, or as before]",
)
@click.option(
    "--policy",
    type=click.Choice(_OURS_OR_NONE),
    help="none: without our enforcement of NetworkPolicies, so that another can be put in its place. "
    "What ours has written stays until `wellhead policy --cleanup` on each node.  "
    "[default: wellhead, or as before]",
)
@click.option(
    "--pull/--no-pull",
    default=None,
    help="Pull the images that pods ask for and this machine doesn't have, as far as their imagePullPolicy "
    "says.  [default: nothing is pulled, or as before]",
)
@click.option(
    "--registries",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    metavar="FILE",
    help="With --pull: mirrors, and registries that speak plain HTTP; a registries.conf.  "
    "[default: /etc/containers/registries.conf, or as before]",
)
@click.option(
    "--kubelet-config",
    "settings",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="A KubeletConfiguration for all nodes: when pods are evicted, what happens when a node shuts down, "
    "how logs are rotated.  [default: see docs/nodes.md, or as before]",
)
@click.option(
    "--storage",
    type=click.Choice(STORAGES),
    help="Where the API server keeps objects: a file, or an etcd with a member on each control plane. It "
    "can't change later.  [default: sqlite, or etcd with several control planes]",
)
@click.option(
    "--control-planes",
    type=click.Choice(tuple(map(str, startup.CONTROL_PLANES))),
    help="How many machines have an API server, controllers and a scheduler, of which one leads. It can't "
    "change later.  [default: 1]",
)
@click.option(
    "--node-processes",
    type=click.Choice(NODE_PROCESSES),
    help="each: a node's agent, proxy and policies are a process each, and can be killed one by one; one: "
    "they share a process, which takes less than half of the memory.  "
    f"[default: each, or one from {startup.MANY_NODES} nodes on, or as before]",
)
@click.option(
    "--audit-policy",
    metavar="FILE",
    help="An audit.k8s.io/v1 Policy: what the API server puts down of requests, in the cluster's directory "
    "under audit/; '' for nothing.  [default: nothing, or as before]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds after which waiting for the nodes fails; what was started stays.",
)
def command(
    name: str,
    nodes: int | None,
    proxy_mode: str | None,
    ip_family: IpFamily | None,
    proxy: str | None,
    cloud: str | None,
    dns: str | None,
    policy: str | None,
    spoofing: tuple[str, ...],
    pull: bool | None,
    registries: str | None,
    settings: str | None,
    storage: Storage | None,
    control_planes: str | None,
    node_processes: NodeProcesses | None,
    audit_policy: str | None,
    timeout: float,
) -> None:
    """Start a cluster on this machine and return when all of its nodes are Ready.

    On a cluster that runs, it starts what is missing. Exits with 0 when the cluster is ready, else 1.
    Ctrl-C removes what was started, unless the cluster was there before.
    """
    begin = time.monotonic()
    try:
        cluster = Cluster(name)
        prerequisites.check_all()
        ours = {"proxy": proxy, "cloud": cloud, "dns": dns, "policy": policy}
        has = {part: None if which is None else which != _NONE for part, which in ours.items()}
        allowed = tuple(filter(None, spoofing)) if spoofing else None
        wishes = Wishes(
            nodes=nodes,
            proxy_mode=proxy_mode,
            ip_family=ip_family,
            has=has,
            spoofing=allowed,
            pull=pull,
            registries=registries,
            settings=_checked(settings) if settings else None,
            storage=storage,
            control_planes=int(control_planes) if control_planes else None,
            audit_policy=audit_policy,
            node_processes=node_processes,
        )
        with starting.turn(cluster, lambda text: click.echo(text, err=True)) as is_new:
            try:
                started = _start(cluster, wishes, timeout)
            except KeyboardInterrupt:
                if is_new:
                    click.echo("\nInterrupted: removing what was started.", err=True)
                    teardown.remove(cluster)
                raise
    except LabError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        raise click.Abort from None
    seconds = time.monotonic() - begin
    count = started.spec.nodes
    families = " and ".join(f"IPv{plan.nodes.version}" for plan in started.spec.plans)
    click.echo(
        f"Cluster {name} is ready: {count} node{'s' * (count != 1)}, {families}, in {seconds:.1f} s.\n"
    )
    option = "" if name == "wellhead" else f" --name {name}"
    click.echo(f"  wellhead shell client{option}    a shell outside of the cluster, with kubectl ready")
    click.echo(f"  wellhead shell node-1{option}    a shell on a node")
    click.echo(f"  wellhead status{option}          what runs, and how it is")
    click.echo(f"  wellhead down{option}            remove it all")


def _checked(path: str) -> bytes:
    """The content of a kubelet's configuration that the agents will take. Raises LabError."""
    from wellhead.node import configuration

    try:
        configuration.read(Path(path))
        return Path(path).read_bytes()
    except (configuration.ConfigurationError, OSError) as error:
        raise LabError(f"--kubelet-config: {error}") from None


def _start(cluster: Cluster, wishes: Wishes, timeout: float) -> Started:
    with progress(f"Starting {cluster.name}") as report:
        started = starting.begin(cluster, wishes, report)
        if started.remark:
            click.echo(started.remark, err=True)
        try:
            starting.wait(cluster, started, timeout, report)
        except LabError as error:
            raise LabError(f"{error}\n{_what_to_do(cluster.name)}") from None
    return started


def _what_to_do(name: str) -> str:
    option = "" if name == "wellhead" else f" --name {name}"
    return (
        f"What was started goes on: `wellhead status{option}` and `wellhead logs COMPONENT{option}` "
        f"say more, `wellhead up{option}` waits again, `wellhead down{option}` removes everything."
    )
