"""A node's network namespace, one behind it, and pods: real links, real packets, no containers."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute

from wellhead.linux import mounts, namespaces
from wellhead.node.network import links, routes
from wellhead.node.network.rules import HostPort, ruleset

T = TypeVar("T")

POD_CIDR = IPv4Network("10.244.1.0/24")
INSIDE = (IPv4Network("10.244.0.0/16"), IPv4Network("10.240.0.0/24"))
NODE, EDGE, OUTSIDE = "10.240.0.11", "10.240.0.1", "203.0.113.9"
GATEWAY = "10.244.1.1"


class World:
    """Everything happens in one thread that left the test's network and mount namespaces."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._pods: set[str] = set()
        self.run(self._build)

    def close(self) -> None:
        self.run(lambda: mounts.umount_below(self._directory))
        self._temporary.cleanup()
        self._thread.shutdown()

    def run(self, work: Callable[[], T]) -> T:
        """Do something on the node."""
        return self._thread.submit(work).result()

    def netlink(self, work: Callable[[Any], T]) -> T:
        def call() -> T:
            with IPRoute() as ip:
                return work(ip)

        return self.run(call)

    def path(self, host: str) -> Path:
        return self._directory / host

    def add_pod(self, uid: str, address: str) -> None:
        if uid not in self._pods:
            self._pods.add(uid)
            self.run(lambda: namespaces.pin({"net": self.path(uid)}))
        self.netlink(lambda ip: links.connect(ip, uid, self.path(uid), IPv4Address(address), POD_CIDR))

    def apply_rules(self, *host_ports: HostPort) -> None:
        text = ruleset(POD_CIDR, INSIDE, host_ports)
        self.run(lambda: subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True))

    def socket(self, host: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A socket on the node ("node"), behind it ("edge") or in a pod (its UID)."""

        def make() -> socket.socket:
            if host == "node":
                return socket.socket(socket.AF_INET, kind)
            with namespaces.inside(self.path(host)):
                return socket.socket(socket.AF_INET, kind)

        return self.run(make)

    def seen(
        self, client: str, server: str, address: str, port: int, dial: tuple[str, int] | None = None
    ) -> str:
        """The address that a server (listening at `address`) sees when `client` connects (to `dial`)."""
        with self.socket(server) as listener, self.socket(client) as caller:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen()
            listener.settimeout(2)
            caller.settimeout(2)
            caller.connect(dial or (address, port))
            connection, (peer, _) = listener.accept()
            connection.sendall(b"hello")
            assert caller.recv(16) == b"hello"
            connection.close()
            return str(peer)

    def ip(self, host: str, *arguments: str) -> str:
        """The output of iproute2's ip."""
        inside = [] if host == "node" else ["nsenter", f"--net={self.path(host)}"]
        return self.run(
            lambda: (
                subprocess.run([*inside, "ip", *arguments], capture_output=True, text=True, check=True).stdout
            )
        )

    def _build(self) -> None:
        namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET)
        mounts.make_private()
        self._temporary = tempfile.TemporaryDirectory(prefix="wellhead-test-")
        self._directory = Path(self._temporary.name)
        mounts.mount("test", self._directory, "tmpfs")
        namespaces.pin({"net": self.path("edge")})
        for name, value in (
            ("ip_forward", "1"),
            ("conf/all/rp_filter", "1"),
            ("conf/default/rp_filter", "1"),
        ):
            Path("/proc/sys/net/ipv4", name).write_text(value)
        edge = f"nsenter --net={self.path('edge')} "
        for command in (
            "ip link set lo up",
            "ip link add eth0 type veth peer name nodes",
            f"ip link set nodes netns {self.path('edge')}",
            f"ip addr add {NODE}/24 dev eth0",
            "ip link set eth0 up",
            f"{edge}ip link set lo up",
            f"{edge}ip addr add {EDGE}/24 dev nodes",
            f"{edge}ip addr add {OUTSIDE}/32 dev lo",
            f"{edge}ip link set nodes up",
            f"{edge}ip route add 10.244.1.0/24 via {NODE}",
            f"ip route add default via {EDGE}",
        ):
            subprocess.run(command.split(), check=True)
        with IPRoute() as ip:
            routes.apply(ip, {POD_CIDR: None})
