"""From the strings of a KubeProxyConfiguration to what the proxy works with."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux.numbers import RETURN_MARKS
from wellhead.proxy.backends.iptables.commands import Variant
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.config import Address, Config
from wellhead.proxy.configuration.load import ConfigurationError, to_document
from wellhead.proxy.configuration.schema import KubeProxyConfiguration
from wellhead.proxy.marks import Marks
from wellhead.proxy.mode import MODES, ProxyMode
from wellhead.proxy.node_config import DetectLocalMode, NodeConfig
from wellhead.proxy.sysctls import ConntrackSettings
from wellhead.services.node_ports import NodePortAddresses

T = TypeVar("T")

_LOCALHOST = tuple(each.loopback for each in Family)
_ALL = {each.everywhere for each in Family}


def resolve(
    configuration: KubeProxyConfiguration,
    *,
    master: str | None = None,
    iptables_variant: Variant = "auto",
    preserve_client_ip: bool = False,
    source_claims: SourceClaims = "auto",
    return_marks: int = RETURN_MARKS,
    file: Path | None = None,
) -> Config:
    """Make the proxy's Config.

    Raises:
        ConfigurationError: values that can't be, all of them, by the names of their fields.
        UnusableMask: `return_marks` can't be.
    """
    given, problems = configuration, _Problems()
    mode = problems.of("mode", _mode, given.mode) or "iptables"
    section = given.nftables if mode == "nftables" else given.iptables
    sync_period, min_sync_period = section.sync_period.seconds, section.min_sync_period.seconds
    if sync_period <= 0:
        problems.add(f"{mode}.syncPeriod", "must be greater than 0")
    if not 0 <= min_sync_period <= max(sync_period, 0):
        problems.add(f"{mode}.minSyncPeriod", "must be 0 or greater, and not greater than syncPeriod")
    config = Config(
        node_name=given.hostname_override.strip().lower() or socket.gethostname().lower(),
        kubeconfig=given.client_connection.kubeconfig or None,
        master=master,
        mode=mode,
        node=replace(_node(given, section.masquerade_all, problems), preserve_client_ip=preserve_client_ip),
        node_port_addresses=problems.of(
            "nodePortAddresses", lambda each: _node_port_addresses(each, mode), given.node_port_addresses
        )
        or (),
        iptables_variant=iptables_variant,
        marks=Marks(1 << section.masquerade_bit, return_marks),
        source_claims=source_claims,
        localhost_node_ports=given.iptables.localhost_node_ports,
        sync_period=sync_period,
        min_sync_period=min_sync_period,
        metrics_address=problems.of("metricsBindAddress", _listening, given.metrics_bind_address),
        health_address=problems.of("healthzBindAddress", _listening, given.healthz_bind_address),
        bind_hard_fail=given.bind_address_hard_fail,
        profiling=given.enable_profiling,
        conntrack=_conntrack(given, problems),
        oom_score=given.oom_score_adj,
        file=file,
        document=to_document(configuration),
    )
    if given.logging.format not in ("text", "json"):
        problems.add("logging.format", f"{given.logging.format!r} is not one of text, json")
    problems.raise_any()
    return config


class _Problems:
    """Collects what is wrong, so that all of it can be told at once."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []

    def add(self, name: str, what: str) -> None:
        self._found.append((name, what))

    def of(self, name: str, parse: Callable[[str], T] | Callable[[list[str]], T], value: object) -> T | None:
        try:
            return parse(value)  # type: ignore[arg-type]
        except ValueError as error:
            self.add(name, str(error))
            return None

    def raise_any(self) -> None:
        if self._found:
            raise ConfigurationError(self._found)


def _mode(text: str) -> ProxyMode:
    for each in MODES:
        if text == each:
            return each
    raise ValueError(f"{text!r} is not supported; use {' or '.join(MODES)}")


def _node(given: KubeProxyConfiguration, masquerade_all: bool, problems: _Problems) -> NodeConfig:
    mode = problems.of("detectLocalMode", _detect_local_mode, given.detect_local_mode)
    bridge = given.detect_local.bridge_interface
    prefix = given.detect_local.interface_name_prefix
    if mode is DetectLocalMode.BRIDGE_INTERFACE and not bridge:
        problems.add("detectLocal.bridgeInterface", "needed by detectLocalMode BridgeInterface")
    if mode is DetectLocalMode.INTERFACE_NAME_PREFIX and not prefix:
        problems.add("detectLocal.interfaceNamePrefix", "needed by detectLocalMode InterfaceNamePrefix")
    for name, value in (("bridgeInterface", bridge), ("interfaceNamePrefix", prefix)):
        if len(value) > 15 or "/" in value or any(each.isspace() for each in value):
            problems.add(f"detectLocal.{name}", f"{value!r} can't be an interface's name")
    return NodeConfig(
        mode or DetectLocalMode.CLUSTER_CIDR,
        problems.of("clusterCIDR", _cluster_cidrs, given.cluster_cidr) or (),
        bridge,
        prefix,
        masquerade_all,
        problems.of("bindAddress", _primary, given.bind_address),
    )


def _detect_local_mode(text: str) -> DetectLocalMode:
    try:
        return DetectLocalMode(text)
    except ValueError:
        known = ", ".join(DetectLocalMode)
        raise ValueError(f"{text!r} is not one of {known}") from None


def _cluster_cidrs(text: str) -> tuple[IPNetwork, ...]:
    found = tuple(_network(each) for each in text.split(",") if each.strip())
    if len({each.version for each in found}) < len(found):
        raise ValueError(f"{text!r}: no more than one network of each family")
    return found


def _network(text: str) -> IPNetwork:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a network such as 10.244.0.0/16 or fd00:10:244::/48") from None


def _primary(text: str) -> IPAddress | None:
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
    return None if address.is_unspecified else address


def _node_port_addresses(texts: list[str], mode: ProxyMode) -> NodePortAddresses:
    if not texts:
        return "primary" if mode == "nftables" else ()
    if "primary" in texts:
        if len(texts) > 1:
            raise ValueError("“primary” stands alone: it can't be combined with others")
        return "primary"
    found: list[IPNetwork] = []
    for each in texts:
        if each == "localhost":
            found += _LOCALHOST
        elif each == "all":
            return ()
        else:
            found.append(_network(each))
    return () if set(found) >= _ALL else tuple(found)


def _listening(text: str) -> Address | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    try:
        address = ip_address(host.strip("[]"))
        if isinstance(address, IPv6Address) != host.startswith("["):
            raise ValueError
        if not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is not IP:PORT or [IP]:PORT") from None
    return str(address), int(port)


def _conntrack(given: KubeProxyConfiguration, problems: _Problems) -> ConntrackSettings:
    settings = given.conntrack
    for name, each in (
        ("tcpEstablishedTimeout", settings.tcp_established_timeout),
        ("tcpCloseWaitTimeout", settings.tcp_close_wait_timeout),
        ("udpTimeout", settings.udp_timeout),
        ("udpStreamTimeout", settings.udp_stream_timeout),
    ):
        if each.seconds < 0:
            problems.add(f"conntrack.{name}", "must be 0 or greater")
    return ConntrackSettings(
        max_per_core=settings.max_per_core,
        min=settings.min,
        tcp_established_timeout=int(settings.tcp_established_timeout.seconds),
        tcp_close_wait_timeout=int(settings.tcp_close_wait_timeout.seconds),
        udp_timeout=int(settings.udp_timeout.seconds),
        udp_stream_timeout=int(settings.udp_stream_timeout.seconds),
        tcp_be_liberal=settings.tcp_be_liberal,
    )
