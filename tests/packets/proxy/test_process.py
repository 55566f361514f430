"""`wellhead proxy` as a process, against an API server that comes and goes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packets.proxy.fake_api import PORT, FakeApi
from tests.packets.proxy.world import (
    CLIENT,
    NODE,
    POD_A,
    POD_B,
    SILENCE,
    Answer,
    World,
    dial,
)
from tests.unit.services.objects import Obj, endpoint, service_object, slice_object

pytestmark = pytest.mark.cluster

VIP = "203.0.113.140"
HEALTH_CHECK_PORT = 32122


class Proxy:
    """The process, in the node's namespace."""

    def __init__(self, world: World, kubeconfig: Path, log: Path, *flags: str) -> None:
        command = [
            *(sys.executable, "-m", "wellhead.cli.main", "proxy", "--kubeconfig", str(kubeconfig)),
            *("--hostname-override", "node-1", "--detect-local-mode", "NodeCIDR", "--log-level", "debug"),
            *("--iptables-variant", world.variant, "--iptables-sync-period", "1s", *flags),
        ]

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(command, stdout=output, stderr=output)

        self._process = world.node.inside(start)
        self.log = log

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        return self._process.wait(10)


@pytest.fixture
def api(world: World) -> Iterator[FakeApi]:
    found = FakeApi(world.node)
    found.put(
        "nodes",
        {
            "metadata": {"name": "node-1"},
            "spec": {"podCIDRs": ["10.244.1.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": NODE}]},
        },
    )
    found.put("services", web(), other())
    found.put("endpointslices", at(POD_A))
    found.start()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def start(world: World, tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{PORT}"}}],
            }
        )
    )
    started: list[Proxy] = []

    def start(*flags: str) -> Proxy:
        started.append(Proxy(world, kubeconfig, tmp_path / "log", *flags))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.kill()
        print((tmp_path / "log").read_text() if started else "")
        Proxy(world, kubeconfig, tmp_path / "log", "--cleanup").wait()


def web(**spec: Any) -> Obj:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", **spec}
    return service_object(
        "web",
        ports=({"port": 80, "nodePort": 30080},),
        ingress=({"ip": VIP},),
        healthCheckNodePort=HEALTH_CHECK_PORT,
        **spec,
    )


def other() -> Obj:
    return service_object("other", cluster_ips=("10.0.0.11",))


def at(*addresses: str) -> Obj:
    return slice_object(
        *(endpoint(each, "node-1" if each.startswith("10.244.1.") else "node-2") for each in addresses)
    )


def eventually(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that the proxy has been asked for to come about."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def get(world: World, url: str, **headers: str) -> tuple[int, str, Any]:
    def fetch() -> tuple[int, str, Any]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=2) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers
        except urllib.error.URLError:
            return 0, "", {}

    return world.node.inside(fetch)


def serves(world: World, *servers: str) -> Callable[[], bool]:
    expected = set(servers)
    return lambda: (
        {dial(world.outside, VIP, 80, source=CLIENT, timeout=0.2).server for _ in range(8)} == expected
    )


def rules(world: World) -> str:
    return "\n".join(sorted(line for line in world.saved().splitlines() if line.startswith("-A")))


def test_it_serves_what_the_api_says(world: World, api: FakeApi, start: Callable[..., Proxy]) -> None:
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


def test_its_own_ports_tell_mode_metrics_and_health(
    world: World, api: FakeApi, start: Callable[..., Proxy]
) -> None:
    start()
    eventually(serves(world, POD_A))
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


def test_the_health_check_node_port(world: World, api: FakeApi, start: Callable[..., Proxy]) -> None:
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


def test_a_taken_health_check_port_is_reported_and_tried_again(
    world: World, api: FakeApi, start: Callable[..., Proxy]
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


def test_a_restart_interrupts_nothing(world: World, api: FakeApi, start: Callable[..., Proxy]) -> None:
    proxy = start()
    eventually(serves(world, POD_A))
    before = rules(world)
    proxy.kill()
    api.stop()
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    restarted = start()
    time.sleep(1.5)  # it has no API server: it must not touch a thing
    assert rules(world) == before
    api.start()
    eventually(lambda: "first sync" in restarted.log.read_text().split("first sync", 1)[1])
    assert rules(world) == before
    assert "restoring" not in restarted.log.read_text().split("first sync", 1)[1], "it rewrote what was right"
    assert restarted.kill(signal.SIGTERM) == 0
    assert rules(world) == before


def test_it_goes_on_without_the_api_and_catches_up(
    world: World, api: FakeApi, start: Callable[..., Proxy]
) -> None:
    start()
    eventually(serves(world, POD_A))
    api.stop()
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    assert get(world, f"http://{NODE}:10256/healthz")[0] == 200
    api.put("endpointslices", at(POD_B))
    api.start()
    eventually(serves(world, POD_B), seconds=15)


def test_what_others_remove_comes_back(world: World, api: FakeApi, start: Callable[..., Proxy]) -> None:
    start()
    eventually(serves(world, POD_A))
    before = rules(world)
    iptables = f"iptables-{world.variant} -w"
    world.node.run(f"{iptables} -t nat -F KUBE-SERVICES")
    world.node.run(f"{iptables} -D FORWARD 1")
    assert rules(world) != before
    eventually(lambda: rules(world) == before)


def test_cleanup_leaves_nothing_of_ours_and_all_of_others(
    world: World, api: FakeApi, start: Callable[..., Proxy]
) -> None:
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
    world: World, api: FakeApi, start: Callable[..., Proxy]
) -> None:
    other = "legacy" if world.variant == "nft" else "nft"
    world.node.run(f"iptables-{other} -w -t nat -N KUBE-SERVICES")
    world.node.run(f"iptables-{other} -w -t nat -A OUTPUT -j KUBE-SERVICES")
    start()
    eventually(lambda: "KUBE-" not in world.node.run(f"iptables-{other}-save"))
    eventually(serves(world, POD_A))
