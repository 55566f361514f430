"""A node's network namespace, one behind it, and pods: real links, real packets, no containers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

from tests.patience import PATIENCE
from wellhead.linux import mounts, namespaces
from wellhead.linux.rtnetlink import Requests
from wellhead.node.network import links, routes
from wellhead.node.network.families import IPNetwork, within
from wellhead.node.network.host_ports import HostPort
from wellhead.node.network.links import PodLink
from wellhead.node.network.ruleset import PodEnd, whole

T = TypeVar("T")
Socket = socket.socket


@dataclass(frozen=True)
class Family:
    """The addresses of one family: the node's, that of the router behind it, one further away, two pods'."""

    number: socket.AddressFamily
    pod_cidr: IPNetwork
    inside: tuple[IPNetwork, ...]
    node: str
    edge: str
    outside: str
    gateway: str
    a: str
    b: str
    nobody: str


IPV4 = Family(
    socket.AF_INET,
    ip_network("10.244.1.0/24"),
    (ip_network("10.244.0.0/16"), ip_network("10.240.0.0/24")),
    node="10.240.0.11",
    edge="10.240.0.1",
    outside="203.0.113.9",
    gateway="10.244.1.1",
    a="10.244.1.2",
    b="10.244.1.3",
    nobody="10.244.1.99",
)
IPV6 = Family(
    socket.AF_INET6,
    ip_network("fd00:10:244:1::/64"),
    (ip_network("fd00:10:244::/48"), ip_network("fd00:10:240::/64")),
    node="fd00:10:240::11",
    edge="fd00:10:240::1",
    outside="2001:db8:113::9",
    gateway="fd00:10:244:1::1",
    a="fd00:10:244:1::2",
    b="fd00:10:244:1::3",
    nobody="fd00:10:244:1::99",
)


class World:
    """Everything happens in one thread that left the test's network and mount namespaces."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._links: dict[str, PodLink] = {}
        self.run(self._build)

    def close(self) -> None:
        self.run(lambda: mounts.umount_below(self._directory))
        self._temporary.cleanup()
        self._thread.shutdown()

    def run(self, work: Callable[[], T]) -> T:
        """Do something on the node."""
        return self._thread.submit(work).result()

    def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """The same, on an event loop."""
        return self.run(lambda: asyncio.run(work))

    def link(self, uid: str) -> PodLink:
        return self._links[uid]

    def ask(self, work: Callable[[Requests], T]) -> T:
        def call() -> T:
            with Requests() as requests:
                return work(requests)

        return self.run(call)

    def path(self, host: str) -> Path:
        return self._directory / host

    def add_pod(self, uid: str, *addresses: str, spoofs: bool = False) -> None:
        """A pod with an address of each family."""
        if uid not in self._links:
            self.run(lambda: namespaces.pin({"net": self.path(uid)}))
        pairs = zip(addresses, (IPV4, IPV6), strict=True)
        interfaces = [within(ip_address(address), family.pod_cidr) for address, family in pairs]
        link = PodLink(uid, tuple(interfaces), spoofs=spoofs, localnet=frozenset({4, 6}))
        self._links[uid] = link
        self.ask(lambda node: links.connect(node, link, self.path(uid)))

    def apply_rules(self, *host_ports: HostPort) -> None:
        """The node's rules for all pods that were added."""
        pods = [
            PodEnd(
                link.name,
                link.sources,
                frozenset(port for port in host_ports if str(port.pod_ip) in map(str, link.sources)),
            )
            for link in self._links.values()
        ]
        text = whole((IPV4.pod_cidr, IPV6.pod_cidr), (*IPV4.inside, *IPV6.inside), pods)
        self.run(lambda: subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True))

    def wire(self, host: str, interface: str) -> Socket:
        """Every frame on an interface, of a pod (its UID) or "edge"; what is sent to it goes out there."""
        # Before the kernel has noticed that a link's other end is up, too, it drops what is sent.
        while any(
            "link/ether" in line and "state UP" not in line
            for where in (host, "node")
            for line in self.ip(where, "-o", "link").splitlines()
        ):
            pass

        def make() -> socket.socket:
            with namespaces.inside(self.path(host)):
                found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))  # ETH_P_ALL
                found.bind((interface, 0))
                return found

        found = self.run(make)
        found.settimeout(PATIENCE)
        return found

    def socket(
        self,
        host: str,
        family: socket.AddressFamily,
        kind: socket.SocketKind = socket.SOCK_STREAM,
    ) -> socket.socket:
        """A socket on the node ("node"), behind it ("edge") or in a pod (its UID)."""

        def make() -> socket.socket:
            if host == "node":
                return socket.socket(family, kind)
            with namespaces.inside(self.path(host)):
                return socket.socket(family, kind)

        return self.run(make)

    def seen(
        self, client: str, server: str, address: str, port: int, dial: tuple[str, int] | None = None
    ) -> str:
        """The address that a server (listening at `address`) sees when `client` connects (to `dial`)."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.socket(server, family) as listener, self.socket(client, family) as caller:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen()
            listener.settimeout(PATIENCE)
            caller.settimeout(PATIENCE)
            caller.connect(dial or (address, port))
            connection, (peer, *_) = listener.accept()
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
        for name in ("ipv4/ip_forward", "ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"):
            Path("/proc/sys/net", name).write_text("1")
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
        # Link-local addresses, which routers ask for their neighbours with, can be used at once.
        for place in (None, self.path("edge")):
            with namespaces.inside(place) if place else contextlib.nullcontext():
                for which in ("all", "default"):
                    Path(f"/proc/sys/net/ipv6/conf/{which}/accept_dad").write_text("0")
        edge = f"nsenter --net={self.path('edge')} "
        for command in (
            "ip link set lo up",
            "ip link add eth0 type veth peer name nodes",
            f"ip link set nodes netns {self.path('edge')}",
            "ip link set eth0 up",
            f"{edge}ip link set lo up",
            f"{edge}ip link set nodes up",
            *(
                command
                for family, prefix in ((IPV4, 24), (IPV6, 64))
                for command in (
                    f"ip addr add {family.node}/{prefix} dev eth0 nodad",
                    f"{edge}ip addr add {family.edge}/{prefix} dev nodes nodad",
                    f"{edge}ip addr add {family.outside} dev lo",
                    f"{edge}ip route add {family.pod_cidr} via {family.node}",
                    f"ip route add default via {family.edge}",
                )
            ),
        ):
            subprocess.run(command.split(), check=True)
        with Requests() as asker:
            routes.apply(asker, {IPV4.pod_cidr: None, IPV6.pod_cidr: None}, None)
