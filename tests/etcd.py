"""A real etcd: one member on loopback, or several of one cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.patience import until
from tests.ports import free_port
from wellhead.images import etcd as image
from wellhead.images.store import ImageStore
from wellhead.lab.cluster import IMAGE_CACHE


class Member:
    """One process. `client` and `peer` are the URLs that it listens on."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.client, self.peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.initial_cluster = ""
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        with (self._directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(image.launcher(ImageStore(IMAGE_CACHE))),
                    *("--name", self.name, "--data-dir", str(self._directory / self.name)),
                    *("--listen-client-urls", self.client, "--advertise-client-urls", self.client),
                    *("--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer),
                    *("--initial-cluster", self.initial_cluster, "--logger", "zap"),
                    *arguments,
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self, paused: bool) -> None:
        """Stop it without its end: it neither answers nor hangs up."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP if paused else signal.SIGCONT)

    def is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / f"{self.name}.log").read_text()[-3000:]
        host, _, port = self.client.removeprefix("http://").rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return True
        return False


class Etcd:
    """The members of one cluster."""

    def __init__(self, directory: Path, members: int = 1) -> None:
        self.members = [Member(f"m{number}", directory) for number in range(members)]
        for member in self.members:
            member.initial_cluster = ",".join(f"{each.name}={each.peer}" for each in self.members)

    @property
    def storage(self) -> str:
        """What `wellhead apiserver --storage` is told."""
        return "etcd=" + ",".join(member.client for member in self.members)

    def start(self, *arguments: str) -> None:
        """All of them; they answer then."""
        for member in self.members:
            member.start(*arguments)
        for member in self.members:
            until(member.is_up)


@contextlib.contextmanager
def running(directory: Path, members: int = 1, *arguments: str, start: bool = True) -> Iterator[Etcd]:
    """A cluster while the context lasts; without `start`, whoever calls starts it."""
    etcd = Etcd(directory, members)
    try:
        if start:
            etcd.start(*arguments)
        yield etcd
    finally:
        for member in etcd.members:
            member.kill()
