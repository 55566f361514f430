"""`wellhead node-agent`: runs a node's pods."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Generic, TypeVar

import click

import wellhead.component
from wellhead import ports
from wellhead.cli.options import health_option, logging_options
from wellhead.node import configuration
from wellhead.node.configuration import ConfigurationError
from wellhead.node.main import Config, run
from wellhead.node.network.families import IPAddress, IPNetwork

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


T = TypeVar("T", bound=IPAddress | IPNetwork)


class _Listed(click.ParamType[tuple[T, ...]], Generic[T]):
    """Addresses or networks, at most one of each family, with commas between them."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = f"{name}[,{name}]"
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[T, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(self._parse(each) for each in str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if len({each.version for each in found}) < len(found):
            self.fail("there are two of one IP family", param, ctx)
        return found


_ADDRESSES: _Listed[IPAddress] = _Listed("ip", ip_address)
_NETWORKS: _Listed[IPNetwork] = _Listed("cidr", ip_network)


@click.command("node-agent", short_help="Run a node's agent: pods, probes, pod network.")
@click.option("--kubeconfig", type=click.Path(dir_okay=False), help="How to reach the API server.")
@click.option(
    "--network-kubeconfig",
    type=click.Path(dir_okay=False),
    help="The same for reading all nodes, which a node's own identity may not. [default: --kubeconfig]",
)
@click.option(
    "--storage-kubeconfig",
    type=click.Path(dir_okay=False),
    help="The same for making PersistentVolumes of the node's directories, which its own identity may not. "
    "[default: nobody makes any]",
)
@click.option("--node-name", required=True, help="The Node object's name.")
@click.option(
    "--node-ip",
    "node_ips",
    required=True,
    type=_ADDRESSES,
    help="InternalIP, of one or both IP families, the primary one first; the agent serves here, port 10250.",
)
@click.option(
    "--external-ip",
    "external_ips",
    type=_ADDRESSES,
    default=(),
    help="ExternalIP, as the Node object shows it.",
)
@click.option(
    "--pod-cidr",
    "pod_cidrs",
    required=True,
    type=_NETWORKS,
    help="This node's pod addresses: a pod has one of each network.",
)
@click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    type=_NETWORKS,
    default="10.244.0.0/16,fd00:10:244::/48",
    show_default=True,
    help="All pods' addresses; pods reach these and --node-cidr without NAT.",
)
@click.option(
    "--node-cidr",
    "node_cidrs",
    type=_NETWORKS,
    default="10.240.0.0/24,fd00:10:240::/64",
    show_default=True,
    help="All nodes' addresses.",
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
@click.option(
    "--cluster-domain", default="cluster.local", show_default=True, help="The domain that it serves."
)
@click.option(
    "--allow-spoofing",
    "spoofing_namespaces",
    metavar="NAMESPACE",
    multiple=True,
    help="Pods of this namespace may send packets with a source address that isn't theirs (repeatable).  "
    "[default: no pod may]",
)
@click.option(
    "--cgroup",
    metavar="NAME",
    default="",
    help="Hold containers to their limits of memory and CPU, in cgroups below a directory of this name.  "
    "[default: limits have no effect]",
)
@click.option(
    "--pod-manifest-path",
    type=_DIRECTORY,
    help="Run the pods of the manifests in this directory as well (static pods).  [default: none]",
)
@click.option(
    "--pull",
    is_flag=True,
    help="Ask for images that aren't here, by a condition of the pod; a `wellhead image-puller` answers.",
)
@click.option(
    "--config",
    "settings",
    type=_FILE,
    help="A KubeletConfiguration, of which eviction, ephemeral storage, shutdown, logs and whose images may "
    "be used count; other fields are refused.  [default: see docs/nodes.md]",
)
@health_option(ports.HEALTH["node-agent"])
@logging_options
def command(
    kubeconfig: str | None,
    network_kubeconfig: str | None,
    storage_kubeconfig: str | None,
    node_name: str,
    node_ips: tuple[IPAddress, ...],
    external_ips: tuple[IPAddress, ...],
    pod_cidrs: tuple[IPNetwork, ...],
    cluster_cidrs: tuple[IPNetwork, ...],
    node_cidrs: tuple[IPNetwork, ...],
    root_dir: Path,
    image_dir: Path,
    tls_cert_file: Path,
    tls_private_key_file: Path,
    client_ca_file: Path,
    cluster_dns: tuple[str, ...],
    cluster_domain: str,
    spoofing_namespaces: tuple[str, ...],
    cgroup: str,
    pod_manifest_path: Path | None,
    pull: bool,
    settings: Path | None,
    healthz_bind_address: tuple[str, int] | None,
    log_level: str,
    log_format: wellhead.component.LogFormat,
) -> None:
    """Run the agent of one node: it makes the pods that are bound to the node run, and reports on them.

    Run it in the node's own network, mount and pid namespaces, with a private cgroup2 at /sys/fs/cgroup. It
    may be stopped or killed at any time: pods go on, and a new agent takes them over. SIGPWR says that the
    machine is about to stop, SIGUSR1 that it isn't: see docs/nodes.md.
    """
    if {each.version for each in node_ips} < {each.version for each in pod_cidrs}:
        raise click.UsageError("--pod-cidr has an IP family that --node-ip lacks")
    try:
        found = configuration.read(settings) if settings else configuration.default()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    config = Config(
        kubeconfig=kubeconfig,
        network_kubeconfig=network_kubeconfig,
        storage_kubeconfig=storage_kubeconfig,
        node_name=node_name,
        node_ips=node_ips,
        external_ips=external_ips,
        pod_cidrs=pod_cidrs,
        cluster_cidrs=cluster_cidrs,
        node_cidrs=node_cidrs,
        root_dir=root_dir,
        image_dir=image_dir,
        tls_cert_file=tls_cert_file,
        tls_private_key_file=tls_private_key_file,
        client_ca_file=client_ca_file,
        cluster_dns=cluster_dns,
        cluster_domain=cluster_domain,
        spoofing_namespaces=spoofing_namespaces,
        cgroup=cgroup,
        manifests=pod_manifest_path,
        pull=pull,
        settings=found,
        health=healthz_bind_address,
    )
    wellhead.component.run("node-agent", run(config), log_level=log_level, log_format=log_format)
