"""`wellhead proxy --config FILE`, and what the process does about its configuration."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packets.proxy.backends import by_any
from tests.packets.proxy.conftest import Start
from tests.packets.proxy.fake_api import FakeApi
from tests.packets.proxy.process import eventually, get, get_json, serves
from tests.packets.proxy.world import NODE, POD_A, World
from wellhead.proxy.configuration.schema import API_VERSION, KIND

pytestmark = [pytest.mark.cluster, by_any]


def text(kubeconfig: Path, **fields: Any) -> str:
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": "node-1",
        "detectLocalMode": "NodeCIDR",
        "mode": "nftables",
        **fields,
    }
    return yaml.safe_dump(document)


def test_a_file_is_all_that_it_needs(
    world: World, api: FakeApi, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config.conf"
    file.write_text(text(kubeconfig, logging={"format": "json", "verbosity": 4}, ipvs={"scheduler": "lc"}))
    proxy = start("--config", str(file), alone=True)
    eventually(serves(world, POD_A))
    eventually(proxy.has_synced)
    shown = get_json(world, "http://127.0.0.1:10249/configz")["kubeproxy.config.k8s.io"]
    assert (shown["mode"], shown["nftables"]["syncPeriod"]) == ("nftables", "30s")
    lines = [json.loads(line) for line in proxy.said.splitlines()]
    assert any("ipvs.scheduler has no effect" in each["message"] for each in lines)
    [first_sync] = (each for each in lines if each["message"].startswith("first sync"))
    assert first_sync["service_ports"] == 2
    assert proxy.kill(signal.SIGTERM) == 0


@pytest.mark.parametrize("way", ["written", "linked"])
def test_it_ends_when_the_file_says_something_else(
    world: World, api: FakeApi, start: Start, kubeconfig: Path, tmp_path: Path, way: str
) -> None:
    volume = tmp_path / "volume"
    for directory, period in (("..1", "30s"), ("..2", "40s")):
        (volume / directory).mkdir(parents=True)
        (volume / directory / "config.conf").write_text(text(kubeconfig, nftables={"syncPeriod": period}))
    (volume / "..data").symlink_to("..1")
    file = volume / "config.conf"
    file.symlink_to("..data/config.conf")
    proxy = start("--config", str(file), alone=True)
    eventually(serves(world, POD_A))
    (volume / "unrelated").write_text("")
    if way == "linked":  # as the kubelet updates a ConfigMap's volume
        (volume / "..data_tmp").symlink_to("..2")
        os.rename(volume / "..data_tmp", volume / "..data")
    else:
        file.unlink()
        file.write_text(text(kubeconfig, mode="iptables"))
    assert proxy.wait() == 1
    assert f"{file} has changed" in proxy.said.splitlines()[-1]
    eventually(serves(world, POD_A))  # its rules stay


def test_a_bad_file_ends_it_at_once_with_the_fields_name(
    world: World, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config.conf"
    file.write_text(text(kubeconfig, conntrack={"tcpCloseWaitTimout": "1h"}))
    proxy = start("--config", str(file), alone=True)
    assert proxy.wait() == 2
    assert "conntrack.tcpCloseWaitTimout: there is no such field; tcpCloseWaitTimeout is meant?" in proxy.said


@pytest.mark.parametrize(
    ("port", "reason"),
    [(10249, "FailedToStartMetricServer"), (10256, "FailedToStartProxierHealthcheck")],
)
def test_a_port_that_cannot_be_had_is_fatal_if_asked_for(
    world: World, api: FakeApi, start: Start, port: int, reason: str
) -> None:
    with world.node.inside(lambda: socket.create_server(("0.0.0.0", port))):
        proxy = start("--bind-address-hard-fail")
        assert proxy.wait() == 1
        assert f"port {port}: " in proxy.said
        assert reason in {each["reason"] for each in api.events}
        patient = start()
        eventually(patient.has_synced)
    eventually(lambda: get(world, f"http://127.0.0.1:{port}/healthz")[0] == 200)
    eventually(lambda: "Starting" in {each["reason"] for each in api.events})


def sysctl(world: World, name: str) -> int:
    return world.node.inside(lambda: int(Path("/proc/sys/net", name).read_text()))


def test_init_only_makes_the_kernel_settings_and_ends(world: World, start: Start) -> None:
    world.node.sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait", "60")
    proxy = start(
        "--init-only", "--conntrack-udp-timeout-stream=77s", "--conntrack-tcp-be-liberal", alone=True
    )
    assert proxy.wait() == 0
    names = ("tcp_timeout_close_wait", "tcp_timeout_established", "udp_timeout_stream", "tcp_be_liberal")
    found = [sysctl(world, f"netfilter/nf_conntrack_{each}") for each in names]
    assert found == [3600, 86400, 77, 1]
    assert sysctl(world, "ipv4/conf/all/route_localnet") == 1
    world.node.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "0")


def test_settings_that_others_change_are_put_back(world: World, api: FakeApi, start: Start) -> None:
    proxy = start()
    eventually(serves(world, POD_A))
    for name, harm, well in (
        ("ipv4/conf/all/route_localnet", "0", 1),
        ("netfilter/nf_conntrack_tcp_timeout_close_wait", "60", 3600),
        ("netfilter/nf_conntrack_tcp_timeout_established", "60", 86400),
    ):
        world.node.sysctl(f"net/{name}", harm)
        eventually(lambda name=name, well=well: sysctl(world, name) == well)  # type: ignore[misc]
    eventually(lambda: "net.netfilter.nf_conntrack_tcp_timeout_close_wait: 3600, was 60" in proxy.said)


@pytest.mark.parametrize(
    ("mode", "rule"), [("iptables", "--ctstate INVALID"), ("nftables", "ct state invalid drop")]
)
def test_a_liberal_conntrack_is_set_and_what_it_calls_invalid_passes(
    world: World, api: FakeApi, start: Start, kubeconfig: Path, tmp_path: Path, mode: str, rule: str
) -> None:
    def rules() -> str:
        return world.node.run("iptables-nft-save" if mode == "iptables" else "nft list ruleset")

    file = tmp_path / "config.conf"
    try:
        file.write_text(text(kubeconfig, mode=mode, conntrack={"tcpBeLiberal": True}))
        proxy = start("--config", str(file), alone=True)
        eventually(serves(world, POD_A))
        assert rule not in rules()
        assert sysctl(world, "netfilter/nf_conntrack_tcp_be_liberal") == 1
        assert proxy.kill(signal.SIGTERM) == 0
    finally:
        world.node.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "0")
    file.write_text(text(kubeconfig, mode=mode))
    eventually(start("--config", str(file), alone=True).has_synced)
    assert rule in rules(), "the next proxy drops it again, over the other's rules"


def test_a_kernel_setting_that_is_not_its_own_is_logged_and_no_more(world: World, start: Start) -> None:
    proxy = start("--init-only", "--conntrack-min=100000000", alone=True)
    assert proxy.wait() == 0
    assert "net.netfilter.nf_conntrack_max can't be set to 100000000 here: " in proxy.said


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_metrics_have_kube_proxys_names_and_labels(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    eventually(start("--proxy-mode", mode).has_synced)
    eventually(serves(world, POD_A))
    get(world, f"http://{NODE}:10256/healthz")
    get(world, f"http://{NODE}:10256/livez")
    metrics = get(world, "http://127.0.0.1:10249/metrics")[1]
    expected = [
        'sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}',
        'sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"}',
        'sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"}',
        "sync_proxy_rules_endpoint_changes_total ",
        "sync_proxy_rules_endpoint_changes_pending ",
        "sync_proxy_rules_service_changes_total ",
        "sync_proxy_rules_service_changes_pending ",
        'sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"}',
        'proxy_healthz_total{code="200"}',
        'proxy_livez_total{code="200"}',
    ]
    if mode == "iptables":
        expected += [
            'sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"}',
            'sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}',
        ]
    assert [each for each in expected if f"\nkubeproxy_{each}" not in metrics] == []
    of_mode = {
        "iptables": ["iptables_restore_failures", "iptables_partial_restore_failures"],
        "nftables": ["nftables_sync_failures", "nftables_cleanup_failures"],
    }
    for each, names in of_mode.items():
        shown = [
            name for name in names if f"# TYPE kubeproxy_sync_proxy_rules_{name}_total counter" in metrics
        ]
        assert shown == (names if each == mode else [])
    assert "# TYPE kubeproxy_network_programming_duration_seconds histogram" in metrics
    assert "# TYPE kubeproxy_conntrack_reconciler_deleted_entries_total counter" in metrics
    assert "kubernetes_build_info{" in metrics
    assert "_created" not in metrics


def test_profiles_are_offered_only_when_asked_for(world: World, api: FakeApi, start: Start) -> None:
    proxy = start()
    eventually(proxy.has_synced)
    assert get(world, "http://127.0.0.1:10249/debug/tasks")[0] == 404
    proxy.kill()
    eventually(start("--profiling").has_synced)
    status, profile, _ = get(world, "http://127.0.0.1:10249/debug/profile?seconds=0.1")
    assert (status, "function calls" in profile) == (200, True)
    assert get(world, "http://127.0.0.1:10249/debug/profile?seconds=1e9")[0] == 400
