"""One node and two of its pods, as network namespaces.

    client 10.244.1.2 ── node 10.244.1.1 ── server 10.244.1.3, .4, .5; it accepts TCP on port 8080

A namespace lives as long as its file descriptor, and so no longer than this process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from wellhead.linux import namespaces

GATEWAY, CLIENT = "10.244.1.1", "10.244.1.2"
ENDPOINTS = ("10.244.1.3", "10.244.1.4")
"""The server's addresses that Services lead to."""
DIRECT = "10.244.1.5"
"""One that no Service leads to: conntrack must not take its connections for theirs."""
POD_PORT = 8080
CONTROL_PLANE, NODE = "10.240.0.2", "10.240.0.11"


class Namespace:
    """A network namespace."""

    def __init__(self) -> None:
        self._fd = namespaces.in_new_thread(_new)
        self.run("ip", "link", "set", "lo", "up")

    def close(self) -> None:
        os.close(self._fd)

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What the block starts and opens is in here. It may run an event loop, but not await in one."""
        with namespaces.inside(self.path, namespaces.CLONE_NEWNET):
            yield

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a program to its end; its standard output."""
        with self.entered():
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, *commands: str) -> None:
        self.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    def sysctl(self, name: str, value: str) -> None:
        with self.entered(), open(f"/proc/sys/net/{name}", "w") as file:
            file.write(value)

    @contextmanager
    def program(self, *command: str, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
        """A program that runs as long as the block."""
        with self.entered():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


class Node:
    """The three namespaces, wired."""

    def __init__(self, node: Namespace, client: Namespace, server: Namespace) -> None:
        self.node, self.client, self.server = node, client, server
        for pod, name, addresses in (
            (client, "client", (CLIENT,)),
            (server, "server", (*ENDPOINTS, DIRECT)),
        ):
            node.ip(
                f"link add {name} type veth peer name eth0 netns {pod.path}",
                f"addr add {GATEWAY}/32 dev {name}",
                f"link set {name} up",
                *(f"route add {each}/32 dev {name}" for each in addresses),
            )
            pod.ip(
                *(f"addr add {each}/32 dev eth0" for each in addresses),
                "link set eth0 up",
                f"route add {GATEWAY} dev eth0",
                f"route add default via {GATEWAY}",
            )
        node.sysctl("ipv4/ip_forward", "1")
        # Tens of thousands of connections, reset at once: neither their ports nor their entries may run out.
        client.sysctl("ipv4/ip_local_port_range", "1024 65000")
        node.sysctl("netfilter/nf_conntrack_tcp_timeout_close", "1")


@contextmanager
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def node() -> Iterator[Node]:
    """A node with its pods, of which one serves. The rules are for others to make."""
    with ExitStack() as stack:
        made = Node(*(stack.enter_context(namespace()) for _ in range(3)))
        server = stack.enter_context(made.server.program(sys.executable, "-m", "bench.proxy.server"))
        if server.stdout is None or not server.stdout.readline():
            raise RuntimeError("the server in the pod did not start")
        yield made


@contextmanager
def control_plane(node: Node) -> Iterator[Namespace]:
    """Where an API server can run that the node reaches."""
    with namespace() as made:
        node.node.ip(
            f"link add control type veth peer name eth0 netns {made.path}",
            f"addr add {NODE}/24 dev control",
            "link set control up",
        )
        made.ip(f"addr add {CONTROL_PLANE}/24 dev eth0", "link set eth0 up")
        yield made


def _new() -> int:
    namespaces.unshare(namespaces.CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
