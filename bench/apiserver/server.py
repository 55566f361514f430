"""An API server with nothing around it, in a network namespace of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.proxy.apiserver import server_command, wait_for
from bench.proxy.network import CONTROL_PLANE, namespace
from wellhead.lab import kubeconfigs, pki
from wellhead.linux import proc

STORAGES = ("memory", "SQLite", "etcd")
USER = "bench"
"""Who has no rights but those that somebody gives."""

_ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True)
class Server:
    """Kubeconfigs of an administrator and of USER, and the server's process."""

    directory: Path
    """With everybody's certificates."""
    admin: Path
    user: Path
    pid: int

    def seconds(self) -> float:
        """Of CPU time that its threads have taken."""
        taken = (each.read_text().split()[0] for each in Path(f"/proc/{self.pid}/task").glob("*/schedstat"))
        return sum(map(int, taken)) / 1e9

    def pss(self) -> float:
        """MiB."""
        return proc.proportional_memory(self.pid) / 2**20


@contextmanager
def alone(storage: str, *identities: pki.Identity) -> Iterator[Server]:
    """One of STORAGES, durable but for memory's. The block is in its namespace; it may run an event loop."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wellhead-bench-")))
        where = stack.enter_context(namespace())
        where.ip(f"addr add {CONTROL_PLANE}/32 dev lo")
        url = {"memory": "memory:", "SQLite": f"sqlite:{directory / 'state.db'}", "etcd": f"etcd={_ETCD}"}
        command = server_command(directory, url[storage], pki.Identity(USER, USER), *identities)
        for identity in ("admin", USER):
            (directory / identity).write_bytes(
                kubeconfigs.render("bench", directory, identity, f"https://{CONTROL_PLANE}:6443")
            )
        if storage == "etcd":
            etcd = [*(sys.executable, "-m", "wellhead.cli.main", "etcd-member")]
            etcd += ["--data-dir", str(directory / "etcd"), "--log-level", "error"]
            etcd += ["--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD]
            stack.enter_context(where.program(*etcd, stderr=subprocess.DEVNULL))
        server = stack.enter_context(where.program(*command, stderr=subprocess.DEVNULL))
        stack.enter_context(where.entered())
        wait_for(directory / "admin")
        yield Server(directory, directory / "admin", directory / USER, server.pid)
