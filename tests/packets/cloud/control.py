"""`wellhead cloud` as a process, with an API server of its own and kubectl."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.cluster import asking
from tests.forks import Component
from tests.patience import PATIENCE, reached
from wellhead.lab import kubeconfigs, pki
from wellhead.lab.addresses import IPV4
from wellhead.linux import proc

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Host, Network

Obj = dict[str, Any]

BIN = Path(sys.executable).parent
SERVER = "https://10.240.0.2:6443"


class Control:
    """An API server and the cloud controller on the machine `cloud`."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network, self.directory = network, directory
        self.host: Host = network.add_host("cloud", IPv4Address("10.240.0.3"))
        self.host.run("ip addr add 10.240.0.2/24 dev eth0")  # which the API server's certificate is for
        self._processes: list[Component] = []
        self._cloud: Component | None = None
        pki.ensure(directory, pki.control_plane_identities((IPV4,)))
        pki.ensure_signing_key(directory)
        for identity in ("admin", "cloud"):
            config = kubeconfigs.render("test", directory, identity, SERVER)
            (directory / f"{identity}.yaml").write_bytes(config)
        flags = {
            "storage": "memory:",
            "bind-address": "10.240.0.2",
            "advertise-address": "10.240.0.3",
            "tls-cert-file": directory / "apiserver.crt",
            "tls-private-key-file": directory / "apiserver.key",
            "client-ca-file": directory / "ca.crt",
            "kubelet-client-certificate": directory / "apiserver-kubelet-client.crt",
            "kubelet-client-key": directory / "apiserver-kubelet-client.key",
            "service-account-key-file": directory / "service-account.key",
            "service-cluster-ip-range": "10.0.0.0/16,fd00:10::/112",
        }
        self._start("apiserver", *(f"--{name}={value}" for name, value in flags.items()))

    def listens(self) -> bool:
        """Whether the API server does: to ask that costs nothing, where kubectl takes long to be refused."""

        def connects() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("10.240.0.2", 6443), PATIENCE):
                return True
            return False

        return self.host.inside(connects)

    @property
    def state(self) -> Path:
        """Where HAProxy has its files."""
        return self.directory / "proxy"

    def cloud_flags(self, *more: str) -> tuple[str, ...]:
        return (
            "cloud",
            f"--kubeconfig={self.directory / 'cloud.yaml'}",
            f"--forwarder-netns={self.network.edge.path}",
            "--vip-pool=203.0.113.0/24",
            "--vip-pool=2001:db8:113::/64",
            "--proxy-address=10.240.0.3",
            "--proxy-address=fd00:10:240::3",
            f"--proxy-state-dir={self.state}",
            *more,
        )

    def start_cloud(self, *more: str) -> None:
        self._cloud = self._start(*self.cloud_flags(*more))

    def start_speaker(self, host: Host, name: str) -> Component:
        """A controller that announces VIPs, on a machine of the nodes' network."""
        host.sysctl("net/ipv4/ip_forward", "1")
        host.sysctl("net/ipv6/conf/all/forwarding", "1")
        return self._start(
            "cloud",
            f"--kubeconfig={self.directory / 'cloud.yaml'}",
            "--vip-pool=10.240.0.128/27",
            "--vip-pool=fd00:10:240::1:0/112",
            "--announce=eth0",
            "--leader-elect-lease-duration=8",
            host=host,
            log=name,
        )

    def kill_cloud(self) -> None:
        assert self._cloud is not None
        self._cloud.kill()
        self._cloud.wait()

    def clean_up(self) -> None:
        self._run(str(BIN / "wellhead"), *self.cloud_flags("--cleanup"))

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

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        async def ask() -> Any:
            with contextlib.suppress(AssertionError):
                return await asyncio.to_thread(condition)

        with contextlib.suppress(AssertionError):
            return await reached(ask, seconds=seconds)
        logs = {path.name: path.read_text()[-2000:] for path in self.directory.glob("*.log")}
        pytest.fail("never came true\n" + "\n".join(f"{name}:\n{text}" for name, text in logs.items()))

    def create(self, obj: Obj) -> None:
        self.kubectl("create", "--validate=false", "-f", "-", stdin=obj)

    def service(self, name: str = "web") -> Any:
        return self._get("service", name)

    def vip(self, name: str = "web") -> str:
        """Addresses and their modes."""
        given = self.service(name)["status"]["loadBalancer"].get("ingress", ())
        return " ".join([*(each["ip"] for each in given), *(each["ipMode"] for each in given)])

    def events(self) -> str:
        """Reasons and messages, a line each."""
        found = self._get("events")["items"]
        return "".join(f"{each['reason']} {each['message']}\n" for each in found)

    def _get(self, kind: str, name: str = "") -> Any:
        return self.host.inside(lambda: asking.get(str(self.directory / "admin.yaml"), kind, name))

    def status(self) -> Any:
        return msgspec.json.decode(self._run("curl", "-sS", "--fail", "http://127.0.0.1:10258/status"))

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        # What outlives the controller on purpose, and its children: they have the path of their files in
        # their command line. A controller would start them again.
        for pid in proc.pids():
            if any(str(self.state) in each for each in proc.arguments(pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _start(self, *arguments: str, host: Host | None = None, log: str = "") -> Component:
        file = self.directory / f"{log or arguments[0]}.log"
        self._processes.append(Component(*arguments, network=(host or self.host).path, log=file))
        return self._processes[-1]
