"""The command line, and the configuration that it gives."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from click.testing import CliRunner, Result

from wellhead import component
from wellhead.cli import proxy
from wellhead.proxy.main import Config
from wellhead.proxy.node_config import DetectLocalMode, NodeConfig
from wellhead.services.family import Family
from wellhead.services.node import FromBridge, FromNetwork, LocalNode


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Any:
    given: list[Config] = []

    async def run(config: Config) -> None:
        given.append(config)

    def invoke(*arguments: str) -> tuple[Result, Config | None]:
        result = CliRunner().invoke(proxy.command, arguments)
        return result, given[0] if given else None

    monkeypatch.setattr(proxy, "run", run)
    monkeypatch.setattr(component, "setup_logging", lambda *_: None)
    return invoke


def test_the_flags_are_kube_proxys(invoke: Any) -> None:
    result, config = invoke(
        "--kubeconfig=/etc/kubeconfig",
        "--hostname-override=node-1",
        "--proxy-mode=iptables",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
        "--detect-local-mode=NodeCIDR",
        "--nodeport-addresses=10.240.0.0/24,127.0.0.0/8",
        "--masquerade-all",
        "--iptables-masquerade-bit=15",
        "--iptables-sync-period=1m30s",
        "--iptables-min-sync-period=500ms",
        "--metrics-bind-address=",
        "--healthz-bind-address=[::]:10256",
        "--conntrack-tcp-timeout-close-wait=2h",
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
        masquerade_bit=15,
        sync_period=90.0,
        min_sync_period=0.5,
        metrics_address=None,
        health_address=("::", 10256),
        conntrack=config.conntrack,
    )
    assert config.conntrack.tcp_close_wait_timeout == 7200


def test_the_defaults(invoke: Any) -> None:
    result, config = invoke("--hostname-override=n", "--nodeport-addresses=primary")
    assert result.exit_code == 0, result.output
    assert config == Config(node_name="n", node_port_addresses="primary")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--proxy-mode=ipvs"], "'ipvs' is not supported"),
        (["--iptables-sync-period=30"], "not a duration"),
        (["--cluster-cidr=10.244.0.0/99"], "10.244.0.0/99"),
        (["--healthz-bind-address=localhost:1"], "not IP:PORT"),
        (["--healthz-bind-address=::1:1"], "not IP:PORT"),
        (["--detect-local-mode=BridgeInterface"], "needs --pod-bridge-interface"),
        (["--detect-local-mode=InterfaceNamePrefix"], "needs --pod-interface-name-prefix"),
    ],
)
def test_what_cannot_be_is_said(invoke: Any, arguments: list[str], said: str) -> None:
    result, config = invoke(*arguments)
    assert (result.exit_code, config) == (2, None)
    assert said in result.output


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
