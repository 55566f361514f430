"""`wellhead`: finds the command that was asked for and imports only that one."""

from __future__ import annotations

import errno
import gc
import importlib
import sys
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from wellhead import __version__
from wellhead.linux import signals


class _Entry(NamedTuple):
    module: str
    help: str


# The summaries stand here, not in the commands' modules, so that `wellhead --help` imports none of them.
_CLUSTER = {
    "up": _Entry("up", "Start a cluster, or finish starting it."),
    "down": _Entry("down", "Stop a cluster and remove every trace of it."),
    "status": _Entry("status", "Show a cluster's machines, components and nodes."),
    "kubeconfig": _Entry("kubeconfig", "Print a kubeconfig for a cluster."),
    "logs": _Entry("logs", "Print a component's log."),
    "shell": _Entry("shell", "Open a shell on a host: client, node-1, …"),
    "exec": _Entry("exec", "Run a command on a host."),
    "trace": _Entry("trace", "Send one real request and show every hop and rewrite."),
    "matrix": _Entry("matrix", "Try every cell of the source-IP matrix."),
    "tutorial": _Entry("tutorial", "Walk through Kubernetes' “Using Source IP”, checking every step."),
    "image": _Entry("image", "Load, pull and list the container images that pods can use."),
    "completion": _Entry("completion", "Print a shell's completion script."),
}
_INSTRUMENTS = {
    "explain": _Entry("explain", "Say which source IP a Service's servers see, and why."),
    "snapshot": _Entry("snapshot", "Write down what explain reads of a cluster."),
    "page": _Entry("page", "Draw the ways of packets in a browser, live."),
}
_COMPONENTS = {
    "apiserver": _Entry("apiserver", "Run the Kubernetes API server."),
    "controller-manager": _Entry("controller_manager", "Run the controllers."),
    "scheduler": _Entry("scheduler", "Run the scheduler."),
    "etcd-member": _Entry("etcd_member", "Run an etcd of the image cache."),
    "node-agent": _Entry("node_agent", "Run a node's agent: pods, probes, pod network."),
    "proxy": _Entry("proxy", "Run a node's service proxy."),
    "policy": _Entry("policy", "Enforce NetworkPolicies on a node."),
    "node": _Entry("node", "Run several components of a node in one process."),
    "trace-node": _Entry("trace_node", "Watch a node's packets, for `wellhead trace` elsewhere."),
    "dns": _Entry("dns", "Run the cluster domain's DNS server."),
    "cloud": _Entry("cloud", "Run the LoadBalancer controller and its forwarder."),
    "bgp": _Entry("bgp", "Announce load balancers' VIPs from a node, by BGP."),
    "image-puller": _Entry("image_puller", "Pull the images that a cluster's pods wait for."),
}
_COMMANDS = _CLUSTER | _INSTRUMENTS | _COMPONENTS


_WITHOUT_EXTRAS = {"completion", *_INSTRUMENTS}
_WITH_FEW = {"proxy", "policy", "cloud", "bgp", "trace-node"}
"""Commands that need the extra `components`; all others need `cluster`."""


class _LazyGroup(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise _what_to_install(ctx.invoked_subcommand or "", error) from error
        except OSError as error:
            if (
                error.errno != errno.ENOSPC
                or error.filename is not None
                or ctx.invoked_subcommand in _COMPONENTS
            ):
                raise
            raise click.ClickException(f"the output can't be written: {error.strerror}") from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click would import each command to see whether it is hidden.
        commands = [
            CompletionItem(name, help=entry.help)
            for name, entry in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = f"wellhead.cli.{_COMMANDS[cmd_name].module}"
        collects = gc.isenabled() and name not in sys.modules
        if collects:
            gc.disable()  # what modules make is there to stay: to look for garbage takes a tenth of the time
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise _what_to_install(cmd_name, error) from error
        finally:
            if collects:
                gc.freeze()  # or the first look for garbage is at all of it
                gc.enable()
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, entries in (
            ("Cluster", _CLUSTER),
            ("Instruments, for any cluster", _INSTRUMENTS),
            ("Components, each on its own", _COMPONENTS),
        ):
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


def _what_to_install(command: str, error: ModuleNotFoundError) -> Exception:
    """What a person is told of a package that isn't there."""
    name = (error.name or "").partition(".")[0]
    if name == "wellhead":
        return click.ClickException(f"this wellhead has no `{command}`: it is one of a component's image")
    extra = "components" if command in _WITH_FEW else "cluster"
    if command in _WITHOUT_EXTRAS:
        return click.ClickException(f"the Python package of {name} is missing: install wellhead anew")
    import shlex

    wanted = shlex.quote(f"{_origin()}[{extra}]")
    return click.ClickException(
        f"`wellhead {command}` needs the extra “{extra}” ({name} is missing): "
        f"pip install {wanted}, or pipx install --force {wanted}"
    )


def _origin() -> str:
    """What pip needs to get this wellhead again: the wheel or directory that it was installed from (PEP 610).

    Under its name alone an index might have somebody else's.
    """
    import json
    from importlib import metadata
    from urllib.parse import unquote, urlsplit

    try:
        said = json.loads(metadata.distribution("wellhead").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        said = {}
    url = urlsplit(str(said.get("url", "")))
    return unquote(url.path) if url.scheme == "file" else "wellhead"


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wellhead")
def main() -> None:
    """Kubernetes Service networking on one Linux box: which source IP does the server see, and why?

    `wellhead up` starts a cluster; `wellhead shell client` opens a shell outside of it with kubectl ready;
    `wellhead down` removes it.
    """
    signals.keep_to_ourselves()


if __name__ == "__main__":
    main()
