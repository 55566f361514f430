"""`wellhead proxy` as a process, against an API server that comes and goes."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from tests.packets.proxy.backends import by_any
from tests.packets.proxy.conftest import Start
from tests.packets.proxy.fake_api import FakeApi
from tests.packets.proxy.process import (
    HEALTH_CHECK_PORT,
    VIP,
    at,
    eventually,
    get,
    rules,
    serves,
    web,
)
from tests.packets.proxy.world import CLIENT, NODE, POD_A, POD_B, SILENCE, Answer, World, dial

pytestmark = pytest.mark.cluster


def test_it_serves_what_the_api_says(world: World, api: FakeApi, start: Start) -> None:
    start()
    eventually(serves(world, POD_A))
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    api.put("endpointslices", at(POD_A, POD_B))
    eventually(serves(world, POD_A, POD_B))
    api.put("endpointslices", at(POD_B))
    eventually(serves(world, POD_B))
    api.remove("services", "web")
    eventually(serves(world, SILENCE.server))
    assert "KUBE-SEP-" not in world.saved()


@by_any
def test_its_own_ports_tell_mode_metrics_and_health(world: World, api: FakeApi, start: Start) -> None:
    eventually(start().has_synced)
    assert get(world, "http://127.0.0.1:10249/proxyMode")[:2] == (200, "iptables")
    status, metrics, _ = get(world, "http://127.0.0.1:10249/metrics")
    assert status == 200
    assert 'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}' in metrics
    assert "kubeproxy_sync_proxy_rules_last_timestamp_seconds" in metrics
    status, body, _ = get(world, f"http://{NODE}:10256/healthz")
    assert (status, json.loads(body)["nodeEligible"]) == (200, True)
    assert get(world, f"http://{NODE}:10256/livez")[0] == 200
    node = {
        "metadata": {"name": "node-1"},
        "spec": {
            "podCIDRs": ["10.244.1.0/24"],
            "taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}],
        },
    }
    api.put("nodes", node)
    eventually(lambda: get(world, f"http://{NODE}:10256/healthz")[0] == 503)
    assert get(world, f"http://{NODE}:10256/livez")[0] == 200


@by_any
def test_the_health_check_node_port(world: World, api: FakeApi, start: Start) -> None:
    url = f"http://localhost:{HEALTH_CHECK_PORT}/healthz"
    start()
    eventually(lambda: get(world, url)[0] == 200)
    _, body, headers = get(world, url)
    assert body.strip() == "1 Service Endpoints found"
    assert headers["X-Load-Balancing-Endpoint-Weight"] == "1"
    assert json.loads(get(world, url, Accept="application/json")[1]) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 1,
        "serviceProxyHealthy": True,
    }
    api.put("endpointslices", at("10.244.2.2"))
    eventually(lambda: get(world, f"http://{NODE}:{HEALTH_CHECK_PORT}/anything")[0] == 503)
    assert get(world, url)[1].strip() == "No Service Endpoints Found"
    api.put("services", web(externalTrafficPolicy="Cluster"))
    eventually(lambda: get(world, url)[0] == 0)


@by_any
def test_a_taken_health_check_port_is_reported_and_tried_again(
    world: World, api: FakeApi, start: Start
) -> None:
    def take() -> socket.socket:
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("0.0.0.0", HEALTH_CHECK_PORT))
        taken.listen()
        return taken

    with world.node.inside(take):
        start()
        eventually(lambda: any(each["reason"] == "FailedToStartServiceHealthcheck" for each in api.events))
    eventually(lambda: get(world, f"http://127.0.0.1:{HEALTH_CHECK_PORT}/healthz")[0] == 200)


def test_a_restart_interrupts_nothing(world: World, api: FakeApi, start: Start) -> None:
    proxy = start()
    eventually(serves(world, POD_A))
    eventually(proxy.has_synced)  # in the other family, too
    before = rules(world)
    proxy.kill()
    api.stop()
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    restarted = start()
    # It has asked for Services in vain again and again: without an API server it must not touch a thing.
    eventually(lambda: restarted.said.count(" services: ") >= 3)
    assert rules(world) == before
    api.start()
    eventually(restarted.has_synced)
    assert rules(world) == before
    assert "restoring" not in restarted.said, "it rewrote what was right"
    assert restarted.kill(signal.SIGTERM) == 0
    assert rules(world) == before


@by_any
def test_it_goes_on_without_the_api_and_catches_up(world: World, api: FakeApi, start: Start) -> None:
    start()
    eventually(serves(world, POD_A))
    api.stop()
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    assert get(world, f"http://{NODE}:10256/healthz")[0] == 200
    api.put("endpointslices", at(POD_B))
    api.start()
    eventually(serves(world, POD_B))


def test_what_others_remove_comes_back(world: World, api: FakeApi, start: Start) -> None:
    start()
    eventually(serves(world, POD_A))
    before = rules(world)
    iptables = f"iptables-{world.variant} -w"
    world.node.run(f"{iptables} -t nat -F KUBE-SERVICES")
    world.node.run(f"{iptables} -D FORWARD 1")
    assert rules(world) != before
    eventually(lambda: rules(world) == before)


def test_cleanup_leaves_nothing_of_ours_and_all_of_others(world: World, api: FakeApi, start: Start) -> None:
    iptables = f"iptables-{world.variant} -w"
    foreign = [
        "-t nat -N MINE",
        "-t nat -A PREROUTING -p tcp --dport 1 -j MINE",
        "-t filter -N KUBE-FIREWALL",
    ]
    for each in foreign:
        world.node.run(f"{iptables} {each}")
    try:
        before = _without_counters(world.saved())
        proxy = start()
        eventually(serves(world, POD_A))
        assert all(line in _without_counters(world.saved()) for line in before)
        proxy.kill(signal.SIGTERM)
        assert start("--cleanup").wait() == 0
        assert _without_counters(world.saved()) >= before
        assert not [line for line in world.saved().splitlines() if "KUBE-" in line and "FIREWALL" not in line]
    finally:
        for each in ("-t nat -F", "-t nat -X MINE", "-t filter -X KUBE-FIREWALL"):
            world.node.run(f"{iptables} {each}")


def _without_counters(saved: str) -> set[str]:
    return {line.partition(" [")[0] for line in saved.splitlines() if line[:1] in ":-"}


def test_rules_of_the_other_variant_are_removed_at_the_start(
    world: World, api: FakeApi, start: Start
) -> None:
    other = "legacy" if world.variant == "nft" else "nft"
    world.node.run(f"iptables-{other} -w -t nat -N KUBE-SERVICES")
    world.node.run(f"iptables-{other} -w -t nat -A OUTPUT -j KUBE-SERVICES")
    start()
    eventually(lambda: "KUBE-" not in world.node.run(f"iptables-{other}-save"))
    eventually(serves(world, POD_A))
