"""`wellhead proxy`: a node's service proxy, under kube-proxy's flag names."""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Literal

import click

from wellhead import component
from wellhead.cli.options import logging_options
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.iptables.commands import Variant
from wellhead.proxy.main import Address, Config, cleanup, run
from wellhead.proxy.node_config import DetectLocalMode, NodeConfig
from wellhead.proxy.sysctls import ConntrackSettings
from wellhead.services.family import IPNetwork

_MODES = ("iptables",)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Duration(click.ParamType[float]):
    """A duration as Go spells it (30s, 1m30s, 500ms), in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        parts = re.findall(r"([0-9.]+)(ns|us|µs|ms|s|m|h)", text)
        if text == "0":
            return 0.0
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.fail(f"{text!r} is not a duration such as 30s, 1m30s or 500ms", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


class _Networks(click.ParamType[Any]):
    """Networks, separated by commas."""

    name = "cidr,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[IPNetwork, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(ip_network(each.strip()) for each in str(value).split(",") if each.strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _NodePortAddresses(_Networks):
    """Networks, or the word `primary`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "primary" if value == "primary" else super().convert(value, param, ctx)


class _BindAddress(click.ParamType[Address | None]):
    """IP:PORT; empty for none."""

    name = "ip:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address | None:
        if value is None or value == "":
            return None
        host, _, port = str(value).rpartition(":")
        try:
            address = ip_address(host.strip("[]"))
            if isinstance(address, IPv6Address) != host.startswith("["):
                raise ValueError
            return str(address), int(port)
        except ValueError:
            self.fail(f"{value!r} is not IP:PORT or [IP]:PORT", param, ctx)


DURATION, NETWORKS, BIND_ADDRESS = _Duration(), _Networks(), _BindAddress()


@click.command("proxy", short_help="Run a node's service proxy.")
@click.option("--kubeconfig", type=click.Path(), help="How to reach the API server. [default: in-cluster]")
@click.option("--master", help="The API server's URL, in place of the kubeconfig's.")
@click.option("--hostname-override", help="This node's name. [default: the host name]")
@click.option("--proxy-mode", default="iptables", show_default=True, help="How packets are translated.")
@click.option("--cluster-cidr", type=NETWORKS, default=(), help="The pods' networks, for ClusterCIDR.")
@click.option(
    "--detect-local-mode",
    type=click.Choice([each.value for each in DetectLocalMode]),
    default=DetectLocalMode.CLUSTER_CIDR.value,
    show_default=True,
    help="How this node's pods are recognised, whose source to a ClusterIP is kept.",
)
@click.option("--pod-bridge-interface", default="", help="The pods' bridge, for BridgeInterface.")
@click.option("--pod-interface-name-prefix", default="", help="For InterfaceNamePrefix.")
@click.option(
    "--nodeport-addresses",
    "node_port_addresses",
    type=_NodePortAddresses(),
    default=(),
    help="The networks whose local addresses answer node ports, or “primary”. [default: all]",
)
@click.option("--masquerade-all", is_flag=True, help="Replace the source of all traffic to ClusterIPs.")
@click.option(
    "--iptables-variant",
    type=click.Choice(["auto", "nft", "legacy"]),
    default="auto",
    show_default=True,
    help="Which iptables; auto is the one that “iptables” stands for.",
)
@click.option(
    "--iptables-masquerade-bit",
    type=click.IntRange(0, 31),
    default=14,
    show_default=True,
    help="The bit of the packet mark that asks for masquerading.",
)
@click.option(
    "--iptables-localhost-nodeports/--no-iptables-localhost-nodeports",
    "localhost_node_ports",
    default=True,
    show_default=True,
    help="Answer IPv4 node ports on loopback.",
)
@click.option(
    "--iptables-sync-period",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How often to put back rules that others removed.",
)
@click.option(
    "--iptables-min-sync-period",
    type=DURATION,
    default="0s",
    show_default=True,
    help="The least time between two syncs.",
)
@click.option(
    "--metrics-bind-address",
    type=BIND_ADDRESS,
    default="127.0.0.1:10249",
    show_default=True,
    help="Where /metrics and /proxyMode are; empty: nowhere.",
)
@click.option(
    "--healthz-bind-address",
    type=BIND_ADDRESS,
    default="0.0.0.0:10256",
    show_default=True,
    help="Where /healthz and /livez are; empty: nowhere.",
)
@click.option("--conntrack-max-per-core", type=click.IntRange(0), default=32768, show_default=True)
@click.option("--conntrack-min", type=click.IntRange(0), default=131072, show_default=True)
@click.option("--conntrack-tcp-timeout-established", type=DURATION, default="24h", show_default=True)
@click.option("--conntrack-tcp-timeout-close-wait", type=DURATION, default="1h", show_default=True)
@click.option("--conntrack-udp-timeout", type=DURATION, default="0s", help="0s: as it is.")
@click.option("--conntrack-udp-timeout-stream", type=DURATION, default="0s", help="0s: as it is.")
@click.option("--conntrack-tcp-be-liberal", is_flag=True, help="Don't call out-of-window packets INVALID.")
@click.option("--cleanup", "clean", is_flag=True, help="Remove every rule of the proxy, and exit.")
@logging_options
def command(
    *,
    kubeconfig: str | None,
    master: str | None,
    hostname_override: str | None,
    proxy_mode: str,
    cluster_cidr: tuple[IPNetwork, ...],
    detect_local_mode: str,
    pod_bridge_interface: str,
    pod_interface_name_prefix: str,
    node_port_addresses: tuple[IPNetwork, ...] | Literal["primary"],
    masquerade_all: bool,
    iptables_variant: Variant,
    iptables_masquerade_bit: int,
    localhost_node_ports: bool,
    iptables_sync_period: float,
    iptables_min_sync_period: float,
    metrics_bind_address: Address | None,
    healthz_bind_address: Address | None,
    conntrack_max_per_core: int,
    conntrack_min: int,
    conntrack_tcp_timeout_established: float,
    conntrack_tcp_timeout_close_wait: float,
    conntrack_udp_timeout: float,
    conntrack_udp_timeout_stream: float,
    conntrack_tcp_be_liberal: bool,
    clean: bool,
    log_level: str,
    log_format: component.LogFormat,
) -> None:
    """Run the service proxy of one node: Services' addresses lead to their endpoints.

    It programs the network namespace that it is started in. Its rules stay in force when it stops, so that a
    restart interrupts nothing; --cleanup removes them.
    """
    if clean:
        component.setup_logging(log_level, log_format)
        try:
            asyncio.run(cleanup())
        except BackendError as error:
            raise click.ClickException(str(error)) from error
        return
    if proxy_mode not in _MODES:
        raise click.UsageError(f"--proxy-mode {proxy_mode!r} is not supported; use {' or '.join(_MODES)}")
    mode = DetectLocalMode(detect_local_mode)
    if mode is DetectLocalMode.BRIDGE_INTERFACE and not pod_bridge_interface:
        raise click.UsageError("--detect-local-mode BridgeInterface needs --pod-bridge-interface")
    if mode is DetectLocalMode.INTERFACE_NAME_PREFIX and not pod_interface_name_prefix:
        raise click.UsageError("--detect-local-mode InterfaceNamePrefix needs --pod-interface-name-prefix")
    config = Config(
        node_name=hostname_override or socket.gethostname().lower(),
        kubeconfig=kubeconfig,
        master=master,
        node=NodeConfig(mode, cluster_cidr, pod_bridge_interface, pod_interface_name_prefix, masquerade_all),
        node_port_addresses=node_port_addresses,
        iptables_variant=iptables_variant,
        masquerade_bit=iptables_masquerade_bit,
        localhost_node_ports=localhost_node_ports,
        sync_period=iptables_sync_period,
        min_sync_period=iptables_min_sync_period,
        metrics_address=metrics_bind_address,
        health_address=healthz_bind_address,
        conntrack=ConntrackSettings(
            max_per_core=conntrack_max_per_core,
            min=conntrack_min,
            tcp_established_timeout=int(conntrack_tcp_timeout_established),
            tcp_close_wait_timeout=int(conntrack_tcp_timeout_close_wait),
            udp_timeout=int(conntrack_udp_timeout),
            udp_stream_timeout=int(conntrack_udp_timeout_stream),
            tcp_be_liberal=conntrack_tcp_be_liberal,
        ),
    )
    component.run("proxy", run(config), log_level=log_level, log_format=log_format)
