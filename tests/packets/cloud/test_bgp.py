"""Two nodes announce VIPs to a router by BGP: which ways it has, and what a server on a node sees."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.packets.proxy.fake_api import PORT, FakeApi
from tests.packets.proxy.world import TARGET_PORT, Host, answering, dial
from tests.patience import PATIENCE, until
from tests.unit.services.objects import Obj, endpoint, service_object, slice_object
from wellhead.images import bird
from wellhead.images.store import ImageStore

pytestmark = pytest.mark.cluster

VIP, VIP6 = "203.0.113.7", "fd00:203::7"
CLIENT = "198.51.100.79"
ROUTER, ROUTER_AS, NODES_AS = "10.240.0.1", 64512, 64513
ADDRESSES = {"node-1": "10.240.0.11", "node-2": "10.240.0.12"}
BOTH = set(ADDRESSES.values())
HOLD_SECONDS = 3
KUBECONFIG = {
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
    "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{PORT}"}}],
    "users": [{"name": "nobody", "user": {}}],
}


def web(policy: str = "Cluster") -> Obj:
    return service_object(
        type="LoadBalancer",
        cluster_ips=("10.0.0.10", "fd00:10::10"),
        externalTrafficPolicy=policy,
        ingress=({"ip": VIP}, {"ip": VIP6}),
        healthCheckNodePort=32000,
    )


def on(*nodes: str) -> Obj:
    return slice_object(*(endpoint(f"10.244.{each[-1]}.2", each) for each in nodes))


class Node:
    """A node: its API server, its service proxy's health, and the speaker."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.well = True
        self.host = Host()
        self.api = FakeApi(self.host)
        self._directory = directory
        self._speaker: subprocess.Popen[bytes] | None = None
        self._log = directory / f"{name}.log"
        self._kubeconfig = directory / "kubeconfig"
        self._kubeconfig.write_text(json.dumps(KUBECONFIG))
        self._proxy: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self.api.put("nodes", self.object())
        self.api.start()
        node = self

        class Healthz(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if node.well else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._proxy = self.host.inside(lambda: ThreadingHTTPServer(("127.0.0.1", 10256), Healthz))
        threading.Thread(target=self._proxy.serve_forever, name=f"{self.name}'s proxy").start()
        self.speak()

    def object(self, **labels: str) -> Obj:
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {},
        }

    @property
    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "wellhead.cli.main", "bgp", "--kubeconfig", str(self._kubeconfig)),
            *("--node-name", self.name, "--as", str(NODES_AS), "--peer", f"{ROUTER}={ROUTER_AS}"),
            *("--peer", f"fd00:10:240::1={ROUTER_AS}", "--router-id", ADDRESSES[self.name]),
            *("--hold-time", str(HOLD_SECONDS), "--state-dir", str(self._directory / self.name)),
            *("--bird", str(bird.launcher(ImageStore(Path("/var/cache/wellhead/images"))))),
        ]

    def speak(self) -> None:
        def start() -> subprocess.Popen[bytes]:
            with self._log.open("ab") as output:
                return subprocess.Popen(self.command, stdout=output, stderr=output)

        self._speaker = self.host.inside(start)

    def silence(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._speaker is not None:
            self._speaker.send_signal(number)
            self._speaker.wait(PATIENCE)
            self._speaker = None

    def bird(self) -> int:
        """The process."""
        [last] = re.findall(r"BIRD (?:is running already, as|runs as) process (\d+)", self.said)[-1:]
        return int(last)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def status(self) -> Obj:
        found: Obj = json.loads(self.host.run("curl -s http://127.0.0.1:10263/status"))
        return found

    def close(self) -> None:
        self.silence()
        if self._log.exists():
            self.host.run(" ".join([*self.command, "--cleanup"]))
        self.api.stop()
        if self._proxy is not None:
            self._proxy.shutdown()
            self._proxy.server_close()
        self.host.close()


class Network:
    """A router with BIRD, two nodes, and a client behind the router."""

    def __init__(self, directory: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.router, self.client = Host(), Host()
        for host in (self.router, self.client):
            self._stack.callback(host.close)
        self.nodes = {each: Node(each, directory) for each in ADDRESSES}
        self._wire()
        self._stack.enter_context(answering([(each.host, (VIP, VIP6)) for each in self.nodes.values()]))
        self._route(directory)
        for each in self.nodes.values():
            self._stack.callback(each.close)
            each.start()

    def _wire(self) -> None:
        self.router.ip(
            "link add br0 type bridge",
            "link set br0 up",
            f"addr add {ROUTER}/24 dev br0",
            "addr add fd00:10:240::1/64 dev br0 nodad",
            f"link add c0 type veth peer name eth0 netns {self.client.path}",
            "addr add 198.51.100.1/24 dev c0",
            "link set c0 up",
        )
        for name in ("net/ipv4/ip_forward", "net/ipv4/fib_multipath_hash_policy"):
            self.router.sysctl(name, "1")
        self.client.ip(
            f"addr add {CLIENT}/24 dev eth0", "link set eth0 up", "route add default via 198.51.100.1"
        )
        for name, address in ADDRESSES.items():
            host, number = self.nodes[name].host, address[-2:]
            self.router.ip(
                f"link add n{number} type veth peer name eth0 netns {host.path}",
                f"link set n{number} master br0 up",
            )
            host.ip(
                f"addr add {address}/24 dev eth0",
                f"addr add fd00:10:240::{number}/64 dev eth0 nodad",
                "link set eth0 up",
                f"route add default via {ROUTER}",
                f"addr add {VIP}/32 dev lo",
                f"addr add {VIP6}/128 dev lo nodad",
            )

    def _route(self, directory: Path) -> None:
        lines = ["router id 10.240.0.1;", "log stderr all;", "protocol device {}"]
        lines += [
            f"protocol kernel {{ {each} {{ export all; }}; merge paths on; }}" for each in ("ipv4", "ipv6")
        ]
        for name, address in ADDRESSES.items():
            for channel, peer in (("ipv4", address), ("ipv6", f"fd00:10:240::{address[-2:]}")):
                session = f"local as {ROUTER_AS}; neighbor {peer} as {NODES_AS}; connect retry time 1;"
                routes = f"{channel} {{ import all; export none; }};"
                lines.append(f"protocol bgp n{name[-1]}{channel} {{ {session} {routes} }}")
        file = directory / "router.conf"
        file.write_text("\n".join([*lines, ""]))
        program = bird.launcher(ImageStore(Path("/var/cache/wellhead/images")))
        command = [str(program), "-f", "-c", str(file), "-s", str(directory / "router.ctl")]
        log = self._stack.enter_context((directory / "router.log").open("wb"))
        process = self.router.inside(lambda: subprocess.Popen(command, stderr=log))

        def stop() -> None:
            process.terminate()
            process.wait(PATIENCE)

        self._stack.callback(stop)

    def put(self, service: Obj, endpoints: Obj) -> None:
        for each in self.nodes.values():
            each.api.put("services", json.loads(json.dumps(service)))
            each.api.put("endpointslices", json.loads(json.dumps(endpoints)))

    def ways(self) -> set[str]:
        """The nodes that the router may send the VIP's packets to."""
        return set(re.findall(r"via (\S+)", self.router.run(f"ip route show {VIP}")))

    def ways6(self) -> set[str]:
        found = re.findall(r"via (\S+)", self.router.run(f"ip -6 route show {VIP6}"))
        return {f"10.240.0.{each[-2:]}" for each in found}

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    found = Network(tmp_path_factory.mktemp("bgp"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def network(shared: Network) -> Network:
    """As it is when all is well: both nodes announce."""
    for each in shared.nodes.values():
        each.well = True
        each.api.put("nodes", each.object())
    shared.put(web(), on("node-1", "node-2"))
    until(shared.ways, BOTH.__eq__)
    return shared


def test_under_policy_cluster_all_nodes_are_ways_in_both_families(network: Network) -> None:
    until(network.ways6, BOTH.__eq__)
    status = network.nodes["node-1"].status()
    assert status["announced"] == [VIP, VIP6]
    assert status["peers"] == {ROUTER: "Established", "fd00:10:240::1": "Established"}
    metrics = network.nodes["node-1"].host.run("curl -s http://127.0.0.1:10263/metrics")
    assert f'wellhead_bgp_session_up{{peer="{ROUTER}"}} 1.0' in metrics
    assert "wellhead_bgp_announced_vips 2.0" in metrics


def test_clients_are_spread_and_seen_by_their_own_address(network: Network) -> None:
    seen = {dial(network.client, VIP, TARGET_PORT).seen for _ in range(8)}
    assert seen == {CLIENT}


def test_under_policy_local_nodes_with_endpoints_are(network: Network) -> None:
    network.put(web("Local"), on("node-2"))
    until(network.ways, {ADDRESSES["node-2"]}.__eq__)
    network.put(web("Local"), on("node-1"))
    until(network.ways, {ADDRESSES["node-1"]}.__eq__)
    network.put(web("Local"), on())
    until(network.ways, set().__eq__)


def test_a_node_that_is_unwell_or_excluded_is_none(network: Network) -> None:
    one = network.nodes["node-1"]
    one.well = False
    until(network.ways, {ADDRESSES["node-2"]}.__eq__)
    until(lambda: any(each["reason"] == "BGPWithdrawn" for each in one.api.events))
    one.well = True
    until(network.ways, BOTH.__eq__)
    one.api.put("nodes", one.object(**{"node.kubernetes.io/exclude-from-external-load-balancers": "true"}))
    until(network.ways, {ADDRESSES["node-2"]}.__eq__)


def test_a_killed_speaker_is_not_missed_and_the_next_one_goes_on(network: Network) -> None:
    one = network.nodes["node-1"]
    process = one.bird()
    one.silence(signal.SIGKILL)
    network.put(web("Local"), on("node-2"))
    one.speak()
    until(network.ways, {ADDRESSES["node-2"]}.__eq__)
    assert one.bird() == process


def test_a_killed_bird_is_replaced(network: Network) -> None:
    one = network.nodes["node-1"]
    process = one.bird()
    subprocess.run(["kill", "-9", str(process)], check=True)
    until(lambda: one.bird() != process)
    until(network.ways, BOTH.__eq__)
    until(lambda: one.status()["peers"][ROUTER], "Established".__eq__)


def test_cleanup_withdraws_what_a_stop_leaves(network: Network) -> None:
    one = network.nodes["node-1"]
    one.silence()
    assert network.ways() == BOTH
    one.host.run(" ".join([*one.command, "--cleanup"]))
    until(network.ways, {ADDRESSES["node-2"]}.__eq__)
    one.speak()
