"""`wellhead policy`: NetworkPolicies in force on a node."""

from __future__ import annotations

import errno
import socket

import click

from wellhead import component, ports
from wellhead.cli.options import Network, health_option, logging_options
from wellhead.component import LogFormat
from wellhead.ip import IPNetwork
from wellhead.policy.enforcement import clean_up
from wellhead.policy.main import Config, run


@click.command("policy", short_help="Enforce NetworkPolicies on a node.")
@click.option("--kubeconfig", help="How to reach the API server; without it, as kubectl finds it.")
@click.option("--node-name", help="This node's name.  [default: the host's name, in lower case]")
@click.option(
    "--pod-cidr",
    type=Network(),
    multiple=True,
    help="Where this node's pods have their addresses (repeatable). Given, a pod is cut off even while the "
    "API server can't be asked.  [default: the Node's podCIDRs]",
)
@click.option(
    "--fail",
    type=click.Choice(["closed", "open"]),
    default="closed",
    show_default=True,
    help="What becomes of pods whose policies can't be known: closed, they are cut off until they are; open, "
    "they pass. What was in force stays so in both.",
)
@click.option(
    "--cleanup", is_flag=True, help="Remove all rules, and end. Without it they stay when this ends."
)
@health_option(ports.HEALTH["policy"])
@logging_options
def command(
    kubeconfig: str | None,
    node_name: str | None,
    pod_cidr: tuple[IPNetwork, ...],
    fail: str,
    cleanup: bool,
    healthz_bind_address: tuple[str, int] | None,
    log_level: str,
    log_format: LogFormat,
) -> None:
    """Let through to and from this node's pods what NetworkPolicies allow, and nothing else.

    It works beside any pod network that routes through the node: what passes on a bridge without
    br_netfilter is never seen, and it refuses to start there.

    \b
    What is in force (`nft list table ip wellhead-policy`) stays when this process ends or is killed; the next
    one goes on from there.
    """
    if cleanup:
        try:
            for each in clean_up():
                click.echo(f"removed {each}")
        except OSError as error:
            message = f"nftables: {error.strerror or error}"
            if error.errno == errno.EPERM:
                message += "; the rules of a `wellhead policy` that runs go when it has ended"
            raise click.ClickException(message) from error
        return
    name = node_name or socket.gethostname().lower()
    config = Config(kubeconfig, name, pod_cidr, healthz_bind_address, fail == "open")
    component.run("policy", run(config), log_level=log_level, log_format=log_format)
