"""A cluster's machines and network without any component, and questions to ask in it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Collection
from dataclasses import asdict
from typing import Self

from tests.patience import PATIENCE, until
from wellhead.lab import edge, guest, links, machines, topology
from wellhead.lab.addresses import IPV4, IPV6
from wellhead.lab.machines import Machine
from wellhead.linux import namespaces

_DIAL = """
import json, socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as connection:
        answer = "open " + connection.makefile().read()
except OSError as error:
    kind = type(error).__name__
    answer = {"ConnectionRefusedError": "refused", "TimeoutError": "silence"}.get(kind, str(error))
with open(sys.argv[4], "w") as file:
    json.dump(answer, file)
"""
# Says to everybody whom it sees.
_SERVE = """
import socket, sys
with socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    while True:
        connection, peer = server.accept()
        connection.sendall(peer[0].removeprefix("::ffff:").encode())
        connection.close()
"""


class Network:
    """Machines and links of one dual-stack topology. Use as a context manager: it reaps what it started."""

    def __init__(self, cluster: str, nodes: int) -> None:
        self.cluster = cluster
        self.picture = topology.build(nodes, (IPV4, IPV6))
        self.machines: dict[str, Machine] = {}
        self._nodes = nodes

    def __enter__(self) -> Self:
        for name in self.picture.names:
            self.machines[name] = machines.create(self.cluster, name)
        self.repair()
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.machines):
            self.switch_off(name)

    def repair(self, doubtful: Collection[str] | None = None) -> list[str]:
        """Wire what isn't. Returns who got new interfaces."""
        names = list(self.machines) if doubtful is None else doubtful
        rules = edge.ruleset(self._nodes, self.picture.plans)
        repair = machines.start_child(
            lambda: json.dumps(asdict(links.repair(self.picture, self.machines, names, rules)))
        )()
        self.mended: dict[str, list[str]] = json.loads(repair)["mended"]
        found: list[str] = json.loads(repair)["fresh"]
        return found

    def grow(self, nodes: int) -> None:
        """Add nodes."""
        self._nodes = nodes
        self.picture = topology.build(nodes, self.picture.plans)
        fresh = [name for name in self.picture.names if name not in self.machines]
        for name in fresh:
            self.switch_on(name)
        self.repair(fresh)

    def switch_off(self, name: str) -> None:
        machine = self.machines.pop(name)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(machine.pidfd, signal.SIGKILL)
        os.waitpid(machine.pid, 0)
        machine.close()

    def switch_on(self, name: str) -> None:
        self.machines[name] = machines.create(self.cluster, name)

    def serve(self, name: str, port: int) -> None:
        """Answer connections to any address of this machine; ends with the machine."""
        self._start(name, [sys.executable, "-c", _SERVE, str(port)])
        until(lambda: self.dial(name, "127.0.0.1", port), lambda met: met != "refused")

    def dial_in_vain(self, name: str, address: str, port: int) -> str:
        """As `dial`, where nothing is to come: that is waited for, since nobody tells."""
        return self.dial(name, address, port, 0.4)

    def dial(self, name: str, address: str, port: int, patience: float = PATIENCE) -> str:
        """What a TCP connection from this machine meets: "open PEER", "refused", "silence" or the error."""
        readable, writable = os.pipe()
        os.set_inheritable(writable, True)
        try:
            answer_file = f"/dev/fd/{writable}"
            argv = [sys.executable, "-c", _DIAL, address, str(port), str(patience), answer_file]
            assert guest.run(self.machines[name], argv, os.environ) == 0
            return str(json.loads(os.read(readable, 4096)))
        finally:
            os.close(readable)
            os.close(writable)

    def read(self, name: str, path: str) -> str:
        """A file of /proc or /sys as the machine sees it."""

        def work() -> str:
            self.machines[name].join()
            with open(path) as file:
                return file.read().strip()

        return machines.start_child(work)()

    def interface(self, name: str, interface: str) -> list[str]:
        """`ip -o addr show` of an interface, in words."""

        def work() -> str:
            namespaces.setns(self.machines[name].open_network(), namespaces.CLONE_NEWNET)
            return os.popen(f"ip -o addr show dev {interface}; ip -o link show dev {interface}").read()

        return machines.start_child(work)().split()

    def _start(self, name: str, argv: list[str]) -> None:
        # Twice forked: an orphan is its machine's first process' to reap.
        machine = self.machines[name]
        middle = machine.fork()
        if middle == 0:
            try:
                machine.join()
                if os.fork() == 0:
                    os.execv(argv[0], argv)
            finally:
                os._exit(0)
        os.waitpid(middle, 0)
