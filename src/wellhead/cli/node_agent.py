"""`wellhead node-agent`: runs a node's pods."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import click

import wellhead.component
from wellhead.cli.options import logging_options
from wellhead.node.main import Config, run

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


class _Parsed(click.ParamType[Any]):
    """An `ipaddress` type."""

    def __init__(self, kind: type[IPv4Address] | type[IPv4Network], name: str) -> None:
        self._kind = kind
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Address | IPv4Network:
        if isinstance(value, self._kind):
            return value
        try:
            return self._kind(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_ADDRESS, _NETWORK = _Parsed(IPv4Address, "ip"), _Parsed(IPv4Network, "cidr")


@click.command("node-agent", short_help="Run a node's agent: pods, probes, pod network.")
@click.option("--kubeconfig", type=click.Path(dir_okay=False), help="How to reach the API server.")
@click.option("--node-name", required=True, help="The Node object's name.")
@click.option(
    "--node-ip", required=True, type=_ADDRESS, help="InternalIP; the agent serves here, port 10250."
)
@click.option("--external-ip", type=_ADDRESS, help="ExternalIP, as the Node object shows it.")
@click.option("--pod-cidr", required=True, type=_NETWORK, help="This node's pod addresses.")
@click.option(
    "--cluster-cidr",
    type=_NETWORK,
    default="10.244.0.0/16",
    show_default=True,
    help="All pods' addresses; pods reach these and --node-cidr without NAT.",
)
@click.option(
    "--node-cidr", type=_NETWORK, default="10.240.0.0/24", show_default=True, help="All nodes' addresses."
)
@click.option("--root-dir", required=True, type=_DIRECTORY, help="Where the state of pods is kept.")
@click.option(
    "--image-dir",
    type=_DIRECTORY,
    default="/var/cache/wellhead/images",
    show_default=True,
    help="Where images are (see `wellhead image`).",
)
@click.option("--tls-cert-file", required=True, type=_FILE, help="The agent's serving certificate.")
@click.option("--tls-private-key-file", required=True, type=_FILE, help="Its key.")
@click.option("--client-ca-file", required=True, type=_FILE, help="Who signs its clients' certificates.")
@click.option("--cluster-dns", multiple=True, help="A cluster DNS server's address (repeatable).")
@logging_options
def command(
    kubeconfig: str | None,
    node_name: str,
    node_ip: IPv4Address,
    external_ip: IPv4Address | None,
    pod_cidr: IPv4Network,
    cluster_cidr: IPv4Network,
    node_cidr: IPv4Network,
    root_dir: Path,
    image_dir: Path,
    tls_cert_file: Path,
    tls_private_key_file: Path,
    client_ca_file: Path,
    cluster_dns: tuple[str, ...],
    log_level: str,
    log_format: wellhead.component.LogFormat,
) -> None:
    """Run the agent of one node: it makes the pods that are bound to the node run, and reports on them.

    Run it in the node's own network, mount and pid namespaces, with a private cgroup2 at /sys/fs/cgroup. It
    may be stopped or killed at any time: pods go on, and a new agent takes them over.
    """
    config = Config(
        kubeconfig=kubeconfig,
        node_name=node_name,
        node_ip=node_ip,
        external_ip=external_ip,
        pod_cidr=pod_cidr,
        cluster_cidr=cluster_cidr,
        node_cidr=node_cidr,
        root_dir=root_dir,
        image_dir=image_dir,
        tls_cert_file=tls_cert_file,
        tls_private_key_file=tls_private_key_file,
        client_ca_file=client_ca_file,
        cluster_dns=cluster_dns,
    )
    wellhead.component.run("node-agent", run(config), log_level=log_level, log_format=log_format)
