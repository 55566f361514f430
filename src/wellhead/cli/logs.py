"""`wellhead logs`: print what a component has logged."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import BinaryIO

import click
from click.shell_completion import CompletionItem

from wellhead.cli.options import cluster_option
from wellhead.lab import processes
from wellhead.lab.cluster import Cluster, LabError, NoCluster
from wellhead.lab.components import NODE, NODE_PARTS, PRELOADS

_LOOK_AGAIN = 0.2  # seconds


def _complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = (*PRELOADS, processes.SUPERVISOR)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("logs", short_help="Print a component's log.")
@cluster_option
@click.argument("component", shell_complete=_complete)
@click.option("--node", "machine", metavar="HOST", help="Only the log of the component on this host.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is logged, until Ctrl-C.")
def command(name: str, component: str, machine: str | None, follow: bool) -> None:
    """Print what COMPONENT has logged: apiserver, controller-manager, scheduler, node-agent, proxy, cloud,
    dns, policy, image-puller or supervisor; or node, where a node's components are one process.

    Lines of a component that runs on several hosts start with the host's name, unless --node picks one.
    """
    try:
        files = _files(Cluster(name), component, machine)
    except LabError as error:
        raise click.ClickException(str(error)) from None
    except PermissionError as error:
        raise click.ClickException(f"{error.filename} is root's: use sudo") from None
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        opened = {host: stack.enter_context(path.open("rb")) for host, path in files.items()}
        prefixes = {host: f"{host}: ".encode() if len(files) > 1 else b"" for host in files}
        while True:
            for host, file in opened.items():
                _print_new(file, prefixes[host])
            if not follow:
                return
            time.sleep(_LOOK_AGAIN)


def _files(cluster: Cluster, component: str, machine: str | None) -> dict[str, Path]:
    """The log files by host."""
    if component == processes.SUPERVISOR:
        found = {"host": cluster.supervisor_log}
    else:
        found = _logs_of(cluster, component)
        if not found and component in NODE_PARTS:
            found = _logs_of(cluster, NODE)
    found = {host: path for host, path in found.items() if path.exists() and machine in (None, host)}
    if found:
        return found
    if not cluster.logs.exists():
        raise NoCluster(cluster.name)
    known = sorted({path.name.split(".")[-2] for path in cluster.logs.glob("*.log")})
    where = f" on {machine}" if machine else ""
    raise LabError(f"no log of {component}{where}; there are logs of: {', '.join(known)}")


def _logs_of(cluster: Cluster, component: str) -> dict[str, Path]:
    return {path.name.split(".")[0]: path for path in sorted(cluster.logs.glob(f"*.{component}.log"))}


def _print_new(file: BinaryIO, prefix: bytes) -> None:
    """Print the complete lines that were added since the last time."""
    if os.fstat(file.fileno()).st_size < file.tell():
        file.seek(0)  # it was rotated: cut, that is
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), 1)
            return
        click.echo(prefix + line, nl=False)
