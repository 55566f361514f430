"""The command line, and the configuration that it gives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from wellhead import component
from wellhead.cli import proxy
from wellhead.ip import Family
from wellhead.proxy import main
from wellhead.proxy.config import Config
from wellhead.proxy.marks import Marks
from wellhead.proxy.node_config import DetectLocalMode, NodeConfig
from wellhead.proxy.symmetric_return.settings import ReturnSettings
from wellhead.proxy.sysctls import ConntrackSettings
from wellhead.services.node import FromBridge, FromNetwork, LocalNode

Invoke = Callable[..., tuple[Result, Config | None]]
FILE = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What logging was set up with."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(component, "setup_logging", lambda *given: found.append(given))
    return found


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, logged: list[tuple[str, str]]) -> Invoke:
    def invoke(*arguments: str) -> tuple[Result, Config | None]:
        given: list[Config] = []
        monkeypatch.setattr(proxy, "_start", lambda config, *_: given.append(config))
        result = CliRunner().invoke(proxy.command, arguments)
        return result, given[0] if given else None

    return invoke


def test_the_flags_are_kube_proxys(invoke: Invoke) -> None:
    result, config = invoke(
        "--kubeconfig=/etc/kubeconfig",
        "--hostname-override=Node-1",
        "--proxy-mode=iptables",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
        "--detect-local-mode=NodeCIDR",
        "--nodeport-addresses=10.240.0.0/24,127.0.0.0/8",
        "--masquerade-all",
        "--iptables-localhost-nodeports=false",
        "--iptables-masquerade-bit=15",
        "--iptables-sync-period=1m30s",
        "--iptables-min-sync-period=500ms",
        "--metrics-bind-address=",
        "--healthz-bind-address=[::]:10256",
        "--conntrack-tcp-timeout-close-wait=2h",
        "--oom-score-adj=-10",
        "-v=2",
    )
    assert result.exit_code == 0, result.output
    assert config == Config(
        node_name="node-1",
        kubeconfig="/etc/kubeconfig",
        node=NodeConfig(
            DetectLocalMode.NODE_CIDR,
            (ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/48")),
            masquerade_all=True,
        ),
        node_port_addresses=(ip_network("10.240.0.0/24"), ip_network("127.0.0.0/8")),
        localhost_node_ports=False,
        marks=Marks(1 << 15),
        sync_period=90.0,
        min_sync_period=0.5,
        metrics_address=None,
        health_address=("::", 10256),
        conntrack=ConntrackSettings(tcp_close_wait_timeout=7200),
        oom_score=-10,
    )


@pytest.mark.parametrize("value", ["", "=true", "=false"])
def test_flags_that_are_true_or_false_are_written_as_kube_proxys(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    once: list[str] = []
    for each in ("cleanup", "initialise"):
        monkeypatch.setattr(main, each, lambda _config, what=each: once.append(what))
    monkeypatch.setattr(proxy, "_run_once", lambda _: None)
    for flag in ("--cleanup", "--init-only"):
        _, config = invoke(flag + value)
        assert (config is None) == (value != "=false")
    assert once == ([] if value == "=false" else ["cleanup", "initialise"])
    _, config = invoke("--preserve-client-ip" + value)
    assert config is not None
    assert config.node.preserve_client_ip == (value != "=false")


def test_the_defaults(invoke: Invoke) -> None:
    result, config = invoke("--hostname-override=n", "--nodeport-addresses=primary")
    assert result.exit_code == 0, result.output
    assert config == Config(node_name="n", node_port_addresses="primary", oom_score=-999)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "primary"),
        (("--nodeport-addresses=all",), ()),
        (
            ("--nodeport-addresses=10.0.0.0/8", "--nodeport-addresses=10.240.0.1/24"),
            ("10.0.0.0/8", "10.240.0.0/24"),
        ),
        (("--nodeport-addresses=localhost",), ("127.0.0.0/8", "::1/128")),
    ],
)
def test_nftables_mode_takes_the_shared_flags(
    invoke: Invoke, flags: tuple[str, ...], expected: tuple[str, ...] | str
) -> None:
    _, config = invoke("--proxy-mode=nftables", "--masquerade-all", "--iptables-sync-period=7s", *flags)
    assert config is not None
    assert (config.mode, config.sync_period, config.node.masquerade_all) == ("nftables", 7.0, True)
    networks = expected if expected == "primary" else tuple(ip_network(each) for each in expected)
    assert config.node_port_addresses == networks


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--proxy-mode=ipvs"], "--proxy-mode: 'ipvs' is not supported"),
        (["--iptables-sync-period=30"], "--iptables-sync-period: '30' is not a duration"),
        (["--iptables-sync-period=0s"], "--iptables-sync-period: must be greater than 0"),
        (["--iptables-min-sync-period=1m"], "--iptables-min-sync-period: must be 0 or greater, and not"),
        (["--iptables-masquerade-bit=32"], "--iptables-masquerade-bit: Expected `int` <= 31"),
        (["--cluster-cidr=10.244.0.0/99"], "10.244.0.0/99"),
        (["--cluster-cidr=10.0.0.0/8,10.244.0.0/16"], "no more than one network of each family"),
        (["--healthz-bind-address=localhost:1"], "not IP:PORT"),
        (["--healthz-bind-address=::1:1"], "not IP:PORT"),
        (["--healthz-bind-address=127.0.0.1:70000"], "not IP:PORT"),
        (["--bind-address=here"], "--bind-address: 'here' is not an IP address"),
        (["--masquerade-all=perhaps"], "--masquerade-all: Expected `bool`"),
        (["--nodeport-addresses=primary,10.0.0.0/8"], "“primary” stands alone"),
        (["--nodeport-addresses=eth0"], "--nodeport-addresses: 'eth0' is not a network"),
        (["--detect-local-mode=Guess"], "'Guess' is not one of ClusterCIDR"),
        (["--detect-local-mode=BridgeInterface"], "--pod-bridge-interface: needed by"),
        (["--detect-local-mode=InterfaceNamePrefix"], "--pod-interface-name-prefix: needed by"),
        (["--pod-bridge-interface=a-name-that-is-too-long"], "can't be an interface's name"),
        (["--conntrack-udp-timeout=-1s"], "conntrack-udp-timeout: must be 0 or greater"),
        (["--logging-format=xml"], "--logging-format: 'xml' is not one of text, json"),
    ],
)
def test_what_cannot_be_is_said_by_the_flags_name(invoke: Invoke, arguments: list[str], said: str) -> None:
    result, config = invoke(*arguments)
    assert (result.exit_code, config) == (2, None)
    assert said in result.output


def test_a_file_decides_but_for_the_name_the_server_and_logging(
    invoke: Invoke, tmp_path: Path, logged: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "config.conf"
    file.write_text(
        FILE + "hostnameOverride: from-file\nmode: nftables\nlogging: {format: json, verbosity: 5}\n"
    )
    with caplog.at_level(logging.WARNING):
        result, config = invoke(
            f"--config={file}", "--hostname-override=n", "--proxy-mode=iptables", "--master=https://x:1"
        )
    assert result.exit_code == 0, result.output
    assert config is not None
    assert (config.node_name, config.mode, config.master, config.file) == (
        "n",
        "nftables",
        "https://x:1",
        file,
    )
    assert logged == [("debug", "json")]
    assert caplog.messages == [f"--proxy-mode is ignored: {file} decides"]
    invoke(f"--config={file}", "--log-level=error", "-v=0", "--logging-format=text")
    assert logged[1:] == [("error", "text")]


def test_what_is_wrong_in_a_file_is_said_by_the_fields_name(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "config.conf"
    file.write_text(FILE + "iptables: {syncPeriode: 1s}\nmod: x\nnodePortAddresses: [eth0]\n")
    result, config = invoke(f"--config={file}")
    assert (result.exit_code, config) == (2, None)
    assert f"{file}: mod: there is no such field; mode is meant?" in result.output
    assert f"{file}: iptables.syncPeriode: there is no such field; syncPeriod is meant?" in result.output
    file.write_text(FILE + "nodePortAddresses: [eth0]\n")
    assert f"{file}: nodePortAddresses: 'eth0' is not a network" in invoke(f"--config={file}")[0].output
    assert "No such file" in invoke(f"--config={file}x")[0].output


def test_what_has_no_effect_is_said(invoke: Invoke, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result, _ = invoke("--ipvs-scheduler=rr", "--feature-gates=A=true,B=false", "--kube-api-qps=5")
    assert result.exit_code == 0, result.output
    assert caplog.messages == [
        "ipvs.scheduler has no effect: there is no ipvs mode here",
        "featureGates.A has no effect: there are no feature gates here",
        "featureGates.B has no effect: there are no feature gates here",
    ]


def test_the_flags_can_be_written_as_a_file_that_means_the_same(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "config.conf"
    flags = [
        "--hostname-override=n",
        "--proxy-mode=nftables",
        "--conntrack-udp-timeout=1m30s",
        "--bind-address=10.0.0.1",
    ]
    result, config = invoke(*flags, f"--write-config-to={file}")
    assert (result.exit_code, config) == (0, None)
    assert yaml.safe_load(file.read_text())["conntrack"]["udpTimeout"] == "1m30s"
    from_file, from_flags = invoke(f"--config={file}")[1], invoke(*flags)[1]
    assert from_file is not None
    assert from_flags is not None
    assert from_file.document == from_flags.document
    assert from_file.node == from_flags.node


def test_the_fields_of_a_document_are_in_configz(invoke: Invoke) -> None:
    _, config = invoke("--hostname-override=n")
    assert config is not None
    document: dict[str, Any] = config.document
    assert (document["hostnameOverride"], document["healthzBindAddress"]) == ("n", "0.0.0.0:10256")


def test_each_mode_detects_local_pods_in_its_way() -> None:
    node = LocalNode("n", pod_networks=(ip_network("10.244.1.0/24"),), addresses=(ip_address("10.0.0.1"),))
    by_node = NodeConfig(DetectLocalMode.NODE_CIDR)
    assert by_node.complete(node).detectors == ((Family.IPV4, FromNetwork(ip_network("10.244.1.0/24"))),)
    assert by_node.waits_for_node(LocalNode("n"))
    assert not by_node.waits_for_node(node)
    by_cluster = NodeConfig(cluster_cidrs=(ip_network("10.244.0.0/16"),))
    assert by_cluster.complete(node).detectors == ((Family.IPV4, FromNetwork(ip_network("10.244.0.0/16"))),)
    assert NodeConfig().complete(node).detectors == ()
    by_bridge = NodeConfig(DetectLocalMode.BRIDGE_INTERFACE, pod_bridge_interface="cbr0")
    assert by_bridge.complete(node).detector(Family.IPV6) == FromBridge("cbr0")


def test_the_bind_address_is_the_primary_address() -> None:
    here, there = ip_address("10.0.0.1"), ip_address("192.0.2.1")
    node = LocalNode("n", addresses=(here, ip_address("fd00::1")))
    assert NodeConfig(primary_address=there).complete(node).addresses[:2] == (there, here)
    assert NodeConfig().complete(node) == node


def test_symmetric_return_has_flags_of_its_own(invoke: Invoke) -> None:
    result, config = invoke(
        "--symmetric-return-path=tunnel",
        "--symmetric-return-mark-mask=0x0fc0_0000",
        "--symmetric-return-vxlan-id=9",
        "--symmetric-return-vxlan-port=8472",
    )
    assert result.exit_code == 0, result.output
    assert config is not None
    assert config.symmetric_return == ReturnSettings("tunnel", 9, 8472)
    assert config.marks == Marks(mask=0x0FC00000)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ["--symmetric-return-mark-mask=0xffff0000", "--iptables-masquerade-bit=20"],
            "overlaps the masquerade mark",
        ),
        (["--symmetric-return-mark-mask=0x0f0f0000"], "holes"),
        (["--symmetric-return-mark-mask=many"], "not a number"),
        (["--symmetric-return-path=air"], "air"),
    ],
)
def test_symmetric_return_that_can_not_be_is_refused(
    invoke: Invoke, flags: list[str], complaint: str
) -> None:
    result, config = invoke(*flags)
    assert result.exit_code == 2
    assert config is None
    assert complaint in result.output
