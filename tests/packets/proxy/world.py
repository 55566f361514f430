"""One node with two pods, another node, and a client outside, as network namespaces.

    outside 198.51.100.79 ── 10.240.0.1 ┬─ node 10.240.0.11 ─┬─ pod-a 10.244.1.2
                                        │                    └─ pod-b 10.244.1.3
                                        └─ other-node 10.240.0.12, which answers for pod 10.244.2.2 itself

IPv6 alike, under fd00:10:240::/64, fd00:10:244:N::/64 and 2001:db8:51::79. Every pod answers TCP and UDP on
port 8080 with its own address and the address it was asked from. The node is programmed by the backend under
test from API objects, without an API server. Namespaces live as long as their file descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import selectors
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple, TypeVar

from tests.patience import PATIENCE
from wellhead.ip import Family
from wellhead.linux import namespaces
from wellhead.proxy import stale_flows
from wellhead.proxy.backends.iptables.backend import IptablesBackend
from wellhead.proxy.backends.iptables.commands import Variant
from wellhead.proxy.backends.iptables.ruleset import RulesetConfig
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.sysctls import enable_localhost_node_ports
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.node import FromNetwork, LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service import Service
from wellhead.services.service_map import ServiceMap

T = TypeVar("T")
TARGET_PORT = 8080
_AGAIN_SECONDS = 5.0
CLIENT, CLIENT6 = "198.51.100.79", "2001:db8:51::79"
NODE, NODE6 = "10.240.0.11", "fd00:10:240::11"
POD_A, POD_B, POD_FAR = "10.244.1.2", "10.244.1.3", "10.244.2.2"
POD_A6, POD_B6, POD_FAR6 = "fd00:10:244:1::2", "fd00:10:244:1::3", "fd00:10:244:2::2"
GATEWAY, GATEWAY6 = "10.244.1.1", "fd00:10:244:1::1"
THIS_NODE = LocalNode(
    "node-1",
    addresses=(ip_address(NODE), ip_address(NODE6)),
    detectors=(
        (Family.IPV4, FromNetwork(ip_network("10.244.1.0/24"))),
        (Family.IPV6, FromNetwork(ip_network("fd00:10:244:1::/64"))),
    ),
)


class Answer(NamedTuple):
    """What a client got: who answered, and the source that the server saw; or why there was no answer."""

    server: str
    seen: str = ""


REFUSED, SILENCE = Answer("refused"), Answer("silence")


class Host:
    """A network namespace."""

    def __init__(self) -> None:
        self._fd = namespaces.in_new_thread(_new_namespace)
        self.run("ip link set lo up")
        for scope in ("all", "default"):  # addresses are usable at once
            self.sysctl(f"net/ipv6/conf/{scope}/accept_dad", "0")
            self.sysctl(f"net/ipv6/conf/{scope}/dad_transmits", "0")

    def close(self) -> None:
        os.close(self._fd)

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def inside(self, work: Callable[[], T]) -> T:
        def enter() -> T:
            namespaces.setns(self._fd, namespaces.CLONE_NEWNET)
            return work()

        return namespaces.in_new_thread(enter)

    def run(self, command: str, stdin: str = "") -> str:
        def work() -> str:
            done = subprocess.run(command.split(), input=stdin, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            return done.stdout

        return self.inside(work)

    def ip(self, *commands: str) -> None:
        self.run("ip -batch -", "\n".join(commands) + "\n")

    def sysctl(self, name: str, value: str) -> None:
        def work() -> None:
            with open("/proc/sys/" + name, "w") as file:
                file.write(value)

        self.inside(work)

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in this namespace: what it starts (threads, programs) is in it too."""
        return self.inside(lambda: asyncio.run(work))


def _new_namespace() -> int:
    namespaces.unshare(namespaces.CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class NodeLoop:
    """An event loop in a thread in a host's network namespace."""

    def __init__(self, host: Host) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: host.inside(self._run), name="node")
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class _LoopHost(Host):
    """A host whose coroutines all run on one loop."""

    loop: NodeLoop

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.wait_for(work)


class World:
    """The namespaces, the servers in them, and the backend that programs the node."""

    def __init__(self, variant: Variant) -> None:
        self._stack = contextlib.ExitStack()
        self.node, self.other_node, self.outside, self.pod_a, self.pod_b = (self._host() for _ in range(5))
        self._wire()
        self._stack.enter_context(
            answering(
                [
                    (self.pod_a, (POD_A, POD_A6)),
                    (self.pod_b, (POD_B, POD_B6)),
                    (self.other_node, (POD_FAR, POD_FAR6)),
                ]
            )
        )
        # Backends listen to the kernel, so they have one event loop for as long as the world is there.
        self.node.__class__ = _LoopHost
        self._loop = NodeLoop(self.node)
        self.node.loop = self._loop  # type: ignore[attr-defined]
        self.variant = variant
        self.backend = self._make_backend()
        self.services = ServiceMap()
        self.view = NodeView(self.services, THIS_NODE)
        self._now: tuple[dict[Any, Service], dict[str, EndpointSlice]] = ({}, {})

    def _host(self) -> Host:
        host = Host()
        self._stack.callback(host.close)
        return host

    def close(self) -> None:
        self.stop_proxy()
        self._loop.close()
        self._stack.close()

    def stop_proxy(self) -> None:
        async def stop() -> None:
            self.backend.close()

        self._loop.wait_for(stop())

    def restart(self, claims: SourceClaims = "auto") -> None:
        """As another process, with other settings and nothing to serve yet."""
        self.program([], [])
        self.stop_proxy()
        self.backend = self._make_backend(claims)
        self.view = NodeView(self.services, self.view.node)

        async def begin() -> None:
            await self.backend.apply(self.view.update())
            await self.backend.remove_leftovers()

        self.node.await_(begin())

    def _make_backend(self, claims: SourceClaims = "auto") -> Any:
        return IptablesBackend(Family, self.variant, RulesetConfig(claims=claims))

    def _wire(self) -> None:
        outside, node, other = self.outside, self.node, self.other_node
        outside.ip(
            "link add br0 type bridge",
            "link set br0 up",
            "addr add 10.240.0.1/24 dev br0",
            "addr add fd00:10:240::1/64 dev br0 nodad",
            f"addr add {CLIENT}/32 dev lo",
            f"addr add {CLIENT6}/128 dev lo nodad",
        )
        for host, number in ((node, 11), (other, 12)):
            outside.ip(
                f"link add n{number} type veth peer name eth0 netns {host.path}",
                f"link set n{number} master br0 up",
            )
            host.ip(
                f"addr add 10.240.0.{number}/24 dev eth0",
                f"addr add fd00:10:240::{number}/64 dev eth0 nodad",
                "link set eth0 up",
                "route add default via 10.240.0.1",
                "route add default via fd00:10:240::1",
            )
        for host in (node, outside):
            host.sysctl("net/ipv4/ip_forward", "1")
            host.sysctl("net/ipv6/conf/all/forwarding", "1")
        # The kernel tells one client of one refusal a second, after a burst of six; the tests ask faster.
        node.sysctl("net/ipv4/icmp_ratelimit", "0")
        node.sysctl("net/ipv6/icmp/ratelimit", "0")
        other.ip(f"addr add {POD_FAR}/32 dev lo", f"addr add {POD_FAR6}/128 dev lo nodad")
        for host in (node, outside):
            host.ip(
                "route add 10.244.2.0/24 via 10.240.0.12", "route add fd00:10:244:2::/64 via fd00:10:240::12"
            )
        outside.ip(
            *(
                f"route add {each} via {NODE}"
                for each in ("10.244.1.0/24", "203.0.113.0/24", "198.18.0.0/15")
            ),
            *(f"route add {each} via {NODE6}" for each in ("fd00:10:244:1::/64", "2001:db8:113::/64")),
        )
        other.ip(f"route add 10.244.1.0/24 via {NODE}", f"route add fd00:10:244:1::/64 via {NODE6}")
        for pod, name, four, six in (
            (self.pod_a, "poda", POD_A, POD_A6),
            (self.pod_b, "podb", POD_B, POD_B6),
        ):
            node.ip(
                f"link add {name} type veth peer name eth0 netns {pod.path}",
                f"addr add {GATEWAY}/32 dev {name}",
                f"addr add {GATEWAY6}/128 dev {name} nodad",
                f"link set {name} up",
                f"route add {four}/32 dev {name}",
                f"route add {six}/128 dev {name}",
            )
            pod.ip(
                f"addr add {four}/32 dev eth0",
                f"addr add {six}/128 dev eth0 nodad",
                "link set eth0 up",
                f"route add {GATEWAY}/32 dev eth0",
                f"route add {GATEWAY6}/128 dev eth0",
                f"route add default via {GATEWAY}",
                f"route add default via {GATEWAY6}",
            )
        node.inside(enable_localhost_node_ports)

    def program(self, services: list[Service], slices: list[EndpointSlice]) -> int:
        """Make these the cluster's Services and slices, as the proxy would. Returns the flows forgotten."""
        before_services, before_slices = self._now
        now = ({each.key: each for each in services}, {each.name: each for each in slices})
        for key in {*before_services, *now[0]}:
            self.services.set_service(key, now[0].get(key))
        for name in {*before_slices, *now[1]}:
            self.services.set_slice("default", name, now[1].get(name))
        self._now = now
        diff = self.view.update()

        async def sync() -> int:
            await self.backend.apply(diff)
            forgotten = 0
            for family in Family:
                valid = stale_flows.valid_flows(family, diff.ports.values())
                forgotten += await stale_flows.delete_stale_flows(family, valid)
            return forgotten

        return self.node.await_(sync())

    def let_invalid_pass(self) -> None:
        """Remove the rule that drops what conntrack calls INVALID, as somebody else might."""
        self.node.run(f"iptables-{self.variant} -w -F KUBE-FORWARD")

    def saved(self, family: Family = Family.IPV4) -> str:
        program = "iptables" if family is Family.IPV4 else "ip6tables"
        return self.node.run(f"{program}-{self.variant}-save")


def answering(places: list[tuple[Host, tuple[str, ...]]]) -> contextlib.AbstractContextManager[None]:
    @contextlib.contextmanager
    def serve() -> Iterator[None]:
        with selectors.DefaultSelector() as selector:
            stop_reading, stop = socket.socketpair()
            selector.register(stop_reading, selectors.EVENT_READ)
            for host, addresses in places:
                for address in addresses:
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        listener = host.inside(lambda a=address, k=kind: _listen(a, k))  # type: ignore[misc]
                        selector.register(listener, selectors.EVENT_READ, address)
            thread = threading.Thread(target=_serve, args=(selector,), name="servers")
            thread.start()
            try:
                yield
            finally:
                stop.send(b".")
                thread.join()
                stop.close()
                for key in list(selector.get_map().values()):
                    key.fileobj.close()  # type: ignore[union-attr]

    return serve()


def _listen(address: str, kind: socket.SocketKind) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, TARGET_PORT))
    if kind == socket.SOCK_STREAM:
        listener.listen(64)
    return listener


def _serve(selector: selectors.BaseSelector) -> None:
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            listener = key.fileobj
            assert isinstance(listener, socket.socket)
            if listener.type == socket.SOCK_STREAM:
                connection, peer = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(f"{key.data} {peer[0]}".encode())
            else:
                _, peer = listener.recvfrom(100)
                with contextlib.suppress(OSError):
                    listener.sendto(f"{key.data} {peer[0]}".encode(), peer)


def dial(
    host: Host, address: str, port: int, *, source: str = "", udp: bool = False, timeout: float | None = None
) -> Answer:
    """Open a connection from a host and say what comes of it. A SYN that is lost is repeated after 1 s."""
    with connect(host, address, port, source=source, udp=udp, timeout=timeout) as client:
        return client.ask()


def dial_in_vain(host: Host, address: str, port: int, *, source: str = "", udp: bool = False) -> Answer:
    """As `dial`, where nothing is to come: `SILENCE` isn't waited for, but known by what came instead."""
    with connect(host, address, port, source=source, udp=udp) as client:
        return client.ask_in_vain()


class Client:
    """A client's socket. Used as UDP, it stays the same flow from one question to the next."""

    def __init__(self, host: Host, sock: socket.socket, target: tuple[str, int]) -> None:
        self._host = host
        self._socket = sock
        self._target = target

    def ask_in_vain(self) -> Answer:
        """`SILENCE` once all pods have answered what was asked later, over the same links and further."""
        pods = (POD_A6, POD_B6, POD_FAR6) if ":" in self._target[0] else (POD_A, POD_B, POD_FAR)
        udp = self._socket.type == socket.SOCK_DGRAM
        patience = self._socket.gettimeout()
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._socket.connect(self._target)
        if udp:
            self._send()
        for pod in pods:
            assert dial(self._host, pod, TARGET_PORT, udp=udp).server == pod
        came = select.select([self._socket], [] if udp else [self._socket], [], 0)
        self._socket.settimeout(patience)
        return self.ask() if any(came) else SILENCE

    def _send(self) -> None:
        with contextlib.suppress(PermissionError):  # refused or dropped on the way out of its host
            self._socket.send(b"?")

    def ask(self) -> Answer:
        try:
            self._socket.connect(self._target)
            said = self._ask_again() if self._socket.type == socket.SOCK_DGRAM else self._socket.recv(200)
            server, _, seen = said.decode().partition(" ")
            return Answer(server, seen)
        except ConnectionRefusedError:
            return REFUSED
        except TimeoutError:
            return SILENCE

    def _ask_again(self) -> bytes:
        """As whoever uses UDP does, again and again: a datagram may be lost, and so may what refuses it."""
        patience = self._socket.gettimeout() or PATIENCE
        self._socket.settimeout(min(patience, _AGAIN_SECONDS))
        try:
            for _ in range(max(1, round(patience / _AGAIN_SECONDS)) - 1):
                self._send()
                with contextlib.suppress(TimeoutError):
                    return self._socket.recv(200)
            self._send()
            return self._socket.recv(200)
        finally:
            self._socket.settimeout(patience)


@contextlib.contextmanager
def connect(
    host: Host, address: str, port: int, *, source: str = "", udp: bool = False, timeout: float | None = None
) -> Iterator[Client]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with host.inside(lambda: socket.socket(family, kind)) as sock:
        sock.settimeout(timeout or PATIENCE)
        if source:
            sock.bind((source, 0))
        yield Client(host, sock, (address, port))
