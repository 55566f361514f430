"""A cluster as it is on disk: its name, where its files are, what it should consist of, its lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO, get_args

import msgspec

from wellhead.lab.addresses import PLANS, AddressPlan, IpFamily
from wellhead.linux.files import make_private, write_atomically

STATE_ROOT = Path("/var/lib/wellhead")
IMAGE_CACHE = Path("/var/cache/wellhead/images")

# The name is in the path of a Unix socket (at most 107 bytes) and in environment variables.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


Storage = Literal["sqlite", "etcd"]
STORAGES: tuple[Storage, ...] = get_args(Storage)

NodeProcesses = Literal["each", "one"]
NODE_PROCESSES: tuple[NodeProcesses, ...] = get_args(NodeProcesses)


class LabError(Exception):
    """Something that the user can do something about. Its text says what."""


class NoCluster(LabError):
    """There is none of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no cluster {name}: start one with `wellhead up --name {name}`")


class ClusterSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What a cluster should consist of: cluster.json."""

    name: str
    nodes: int
    proxy_mode: str
    api_port: int  # on the host's 127.0.0.1
    ip_family: IpFamily = "ipv4"
    without: tuple[str, ...] = ()
    """Components that somebody else's take the place of: proxy, cloud, dns, policy."""
    spoofing: tuple[str, ...] = ()
    """Namespaces whose pods may send with any source address."""
    storage: Storage = "sqlite"
    """Where the API server keeps objects: a file, or an etcd with a member on each control plane."""
    control_planes: int = 1
    pull: bool = False
    """Whether images that pods wait for are pulled."""
    registries: str = ""
    """A file that says how to reach registries; "" for the host's own."""
    audit_policy: str = ""
    """The name of the file in `Cluster.audit` that says what the API servers put into an audit log."""
    settings: str = ""
    """The name of the agents' configuration among the cluster's files; "" for none."""
    node_processes: NodeProcesses = "each"
    """Whether each component of a node is a process, or all of them are one."""

    @property
    def plans(self) -> tuple[AddressPlan, ...]:
        """Its address plans, that of the primary family first."""
        return PLANS[self.ip_family]


@dataclass(frozen=True)
class Cluster:
    """Names the files of one cluster; none of them needs to exist."""

    name: str
    root: Path = STATE_ROOT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(
                f"{self.name!r} can't be a cluster's name: use at most 40 lower-case letters, digits "
                "and '-', with a letter or digit at both ends"
            )

    @property
    def directory(self) -> Path:
        return self.root / self.name

    @property
    def spec_file(self) -> Path:
        return self.directory / "cluster.json"

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.directory / "kubeconfigs"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor tells how things are (wellhead.lab.state)."""
        return self.directory / "supervisor.sock"

    @property
    def apiserver_directory(self) -> Path:
        return self.directory / "apiserver"

    @property
    def audit(self) -> Path:
        return self.directory / "audit"

    def audit_directory(self, machine: str) -> Path:
        """Where a control plane's audit log is."""
        return self.audit / machine

    def etcd_directory(self, machine: str) -> Path:
        return self.directory / "etcd" / machine

    def node_directory(self, node: str) -> Path:
        return self.directory / "nodes" / node

    def settings_file(self, name: str) -> Path:
        """An agents' configuration. Another content has another name, so that they are started with it."""
        return self.directory / name

    def kubeconfig(self, identity: str) -> Path:
        return self.kubeconfigs / identity

    def log_file(self, machine: str, component: str) -> Path:
        return self.logs / f"{machine}.{component}.log"

    @property
    def supervisor_log(self) -> Path:
        return self.logs / "supervisor.log"

    def read_spec(self) -> ClusterSpec | None:
        """What the cluster should consist of; None if there is no (readable) cluster.json."""
        try:
            return msgspec.json.decode(self.spec_file.read_bytes(), type=ClusterSpec)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            return None

    def write_spec(self, spec: ClusterSpec) -> None:
        write_atomically(self.spec_file, msgspec.json.format(msgspec.json.encode(spec)) + b"\n")

    def make_directories(self) -> None:
        """Make the directories that the parts of a cluster write to."""
        nodes = self.directory / "nodes"
        for directory in (self.pki, self.kubeconfigs, self.logs, self.apiserver_directory, nodes):
            make_private(directory)

    @contextlib.contextmanager
    def locked(self, *, create: bool) -> Iterator[bool]:
        """Hold the cluster's lock: one `up` or `down` at a time. Yields whether the directory exists.

        The lock is on the directory itself, so no lock file has to outlive the cluster. Waits for the
        holder; a holder that dies lets go.
        """
        while True:
            if create:
                make_private(self.root)
                make_private(self.directory)
            try:
                descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                yield False
                return
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not self._is_at(self.directory, descriptor):
                    continue  # the holder removed the directory that we waited for
                yield True
                return
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def turn(self, waiting: Callable[[str], None]) -> Iterator[bool]:
        """Be the one that brings the cluster up, until it is ready. Yields whether it is a new one.

        Who comes meanwhile waits, after `waiting` was told (once) for whom: else a supervisor that has just
        been started, and doesn't answer yet, would be taken for one that hangs. `down` doesn't wait.
        """
        told = False
        while True:
            make_private(self.root)
            make_private(self.directory)
            try:
                descriptor = os.open(self._turn_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the directory was removed meanwhile
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not told:
                        told = True
                        waiting(os.pread(descriptor, 20, 0).decode().strip())
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not self._is_at(self._turn_file, descriptor):
                    continue  # removed by the holder, or by a `down` meanwhile
                with contextlib.suppress(OSError):  # on a full disk nobody is told for whom they wait
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                try:
                    yield not self.spec_file.exists()
                finally:
                    self._leave_nothing_of_a_refusal()
                return
            finally:
                os.close(descriptor)

    @property
    def _turn_file(self) -> Path:
        return self.directory / "up.lock"

    def _leave_nothing_of_a_refusal(self) -> None:
        with contextlib.suppress(OSError):
            if os.listdir(self.directory) == [self._turn_file.name]:
                self._turn_file.unlink()
                self.directory.rmdir()
                self.root.rmdir()

    def open_lock(self) -> TextIO:
        """The file whose lock (flock(2)) the cluster's supervisor holds. Raises FileNotFoundError."""
        descriptor = os.open(self.directory / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "a")

    @staticmethod
    def _is_at(path: Path, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            return False


def existing(root: Path = STATE_ROOT) -> list[Cluster]:
    """The clusters that have a directory."""
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    return [Cluster(name, root) for name in names if _NAME.fullmatch(name)]
