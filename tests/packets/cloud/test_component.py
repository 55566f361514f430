"""`wellhead cloud` as a process, with an API server of its own, kubectl, and real packets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from wellhead.lab import kubeconfigs, pki
from wellhead.lab.addresses import IPV4

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Host, Network

pytestmark = pytest.mark.cluster

BIN = Path(sys.executable).parent
VIP = "203.0.113.140"  # which the nodes hold
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
SERVER = "https://127.0.0.1:6443"


class Control:
    """An API server and the cloud controller on the machine `cloud`."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network, self.directory = network, directory
        self.host: Host = network.add_host("cloud", IPv4Address("10.240.0.3"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cloud: subprocess.Popen[bytes] | None = None
        pki.ensure(directory, pki.control_plane_identities((IPV4,)))
        for identity in ("admin", "cloud"):
            config = kubeconfigs.render("test", directory, identity, SERVER)
            (directory / f"{identity}.yaml").write_bytes(config)
        flags = {
            "storage": "memory:",
            "bind-address": "127.0.0.1",
            "advertise-address": "10.240.0.3",
            "tls-cert-file": directory / "apiserver.crt",
            "tls-private-key-file": directory / "apiserver.key",
            "client-ca-file": directory / "ca.crt",
            "kubelet-client-certificate": directory / "apiserver-kubelet-client.crt",
            "kubelet-client-key": directory / "apiserver-kubelet-client.key",
            "service-account-key-file": directory / "service-account.key",
        }
        self._start("apiserver", *(f"--{name}={value}" for name, value in flags.items()))

    def start_cloud(self) -> None:
        self._cloud = self._start(
            "cloud",
            f"--kubeconfig={self.directory / 'cloud.yaml'}",
            f"--forwarder-netns={self.network.edge.path}",
        )

    def kill_cloud(self) -> None:
        assert self._cloud is not None
        self._cloud.kill()
        self._cloud.wait()

    def kubectl(self, *arguments: str, stdin: Any = None) -> str:
        text = None if stdin is None else msgspec.json.encode(stdin).decode()
        config = f"--kubeconfig={self.directory / 'admin.yaml'}"
        return self._run(str(BIN / "kubectl"), config, *arguments, stdin=text)

    def _run(self, *command: str, stdin: str | None = None) -> str:
        done = self.host.inside(
            lambda: subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def until(self, condition: Callable[[], Any], seconds: float = 10) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            try:
                if result := await asyncio.to_thread(condition):
                    return result
            except AssertionError:
                pass
            await asyncio.sleep(0.05)
        logs = {path.name: path.read_text()[-2000:] for path in self.directory.glob("*.log")}
        pytest.fail("never came true\n" + "\n".join(f"{name}:\n{text}" for name, text in logs.items()))

    def service(self) -> Any:
        return msgspec.json.decode(self.kubectl("get", "service", "web", "-o", "json"))

    def vip(self) -> str:
        return self.kubectl(
            "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[*]['ip','ipMode']}"
        )

    def events(self) -> str:
        return self.kubectl(
            "get", "events", "-o", "jsonpath={range .items[*]}{.reason} {.message}{'\\n'}{end}"
        )

    def status(self) -> Any:
        return msgspec.json.decode(self._run("curl", "-sS", "--fail", "http://127.0.0.1:10258/status"))

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        def start() -> subprocess.Popen[bytes]:
            with (self.directory / f"{arguments[0]}.log").open("ab") as log:
                return subprocess.Popen([BIN / "wellhead", *arguments], stdout=log, stderr=log)

        process = self.host.inside(start)
        self._processes.append(process)
        return process


@pytest.fixture
async def control(network: Network, tmp_path: Path) -> AsyncIterator[Control]:
    control = Control(network, tmp_path)
    try:
        await control.until(lambda: control.kubectl("get", "--raw", "/readyz"), 20)
        for number, address in enumerate((ONE, TWO, THREE), 1):
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}"}}
            control.kubectl("create", "--validate=false", "-f", "-", stdin=node)
            addresses = {"status": {"addresses": [{"type": "InternalIP", "address": str(address)}]}}
            patch = msgspec.json.encode(addresses).decode()
            control.kubectl("patch", "node", f"node-{number}", "--subresource=status", "-p", patch)
        yield control
    finally:
        control.close()


def service(**spec: object) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerIP": VIP, **spec},
    }


async def test_the_life_of_a_load_balancer(network: Network, control: Control) -> None:
    for node in network.nodes:
        await network.serve_health(node, 10256)
    control.start_cloud()
    control.kubectl("create", "--validate=false", "-f", "-", stdin=service())
    assert await control.until(control.vip) == f"{VIP} VIP"
    assert control.service()["metadata"]["finalizers"] == ["service.kubernetes.io/load-balancer-cleanup"]
    before = [await network.connect() for _ in range(20)]
    assert {connection.node for connection in before} == {ONE, TWO, THREE}
    assert {connection.client for connection in before} == {IPv4Address("198.51.100.79")}

    # Policy Local: only the node whose own check passes gets new connections; the others keep theirs.
    control.kubectl("patch", "service", "web", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    await network.serve_health(TWO, control.service()["spec"]["healthCheckNodePort"])
    await control.until(
        lambda: [n["state"] for n in control.status()["loadBalancers"][0]["nodes"]] == ["out", "in", "out"]
    )
    after = [await network.connect() for _ in range(10)]
    assert {connection.node for connection in after} == {TWO}
    assert all([await connection.works() for connection in before + after])

    # Killed and started again, it neither breaks a connection nor changes the VIP.
    control.kill_cloud()
    assert all([await connection.works() for connection in [*before, *after, await network.connect()]])
    control.start_cloud()
    await control.until(control.status)
    await control.until(lambda: control.status()["loadBalancers"][0]["vip"] == VIP)
    assert all([await connection.works() for connection in [*before, *after, await network.connect()]])

    # A node that is deleted loses its own connections.
    control.kubectl("delete", "node", "node-3")
    await control.until(lambda: network.edge.run("ip rule").count("fwmark") == 2)
    for connection in before:
        assert await connection.works() == (connection.node != THREE)

    control.kubectl("delete", "service", "web")
    with pytest.raises(TimeoutError):
        await network.connect(seconds=0.3)
    assert "elements" not in network.edge.run("nft list map ip wellhead-forwarder frontends")
    assert control.status()["vipsInUse"] == 0
    events = control.events()
    for reason in (
        "EnsuringLoadBalancer",
        "EnsuredLoadBalancer",
        "UpdatedLoadBalancer",
        "DeletedLoadBalancer",
    ):
        assert reason in events


async def test_a_type_change_gives_the_vip_back(network: Network, control: Control) -> None:
    await network.serve_health(ONE, 10256)
    control.start_cloud()
    control.kubectl("create", "--validate=false", "-f", "-", stdin=service())
    await control.until(control.vip)
    assert (await network.connect()).node == ONE
    control.kubectl("patch", "service", "web", "-p", '{"spec":{"type":"ClusterIP","loadBalancerIP":null}}')
    await control.until(lambda: "finalizers" not in control.service()["metadata"])
    assert control.vip() == ""
    with pytest.raises(TimeoutError):
        await network.connect(seconds=0.3)
    assert control.status()["vipsInUse"] == 0


async def test_a_node_that_dies_is_left_and_its_connections_end_quickly(
    network: Network, control: Control
) -> None:
    for node in network.nodes:
        await network.serve_health(node, 10256)
    control.start_cloud()
    control.kubectl("create", "--validate=false", "-f", "-", stdin=service())
    await control.until(control.vip)
    connections = [await network.connect() for _ in range(20)]
    network.nodes[TWO].run("ip link set eth0 down")
    await control.until(
        lambda: "LoadBalancerHealthCheckFailed" in control.events() and " is dead" in control.log("cloud")
    )
    assert {(await network.connect()).node for _ in range(20)} == {ONE, THREE}
    for connection in connections:
        assert await connection.works() == (connection.node != TWO)
