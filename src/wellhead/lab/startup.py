"""What `wellhead up` does: decide what the cluster should be, see to a supervisor, wait until it is so."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from wellhead.api.audit.policy import PolicyError, read_policy
from wellhead.lab import api_socket, launch, prerequisites, processes, state
from wellhead.lab.addresses import PLANS, IpFamily
from wellhead.lab.cluster import Cluster, ClusterSpec, LabError, NodeProcesses, Storage
from wellhead.lab.processes import Process
from wellhead.lab.state import Snapshot
from wellhead.linux.files import make_private, write_atomically, write_if_different

DEFAULT_NODES = 3
MANY_NODES = 10
"""From so many on, a new cluster's nodes are a process each: three take more than twice the memory."""
PROXY_MODES = ("iptables", "nftables")
CONTROL_PLANES = (1, 3, 5)
REPLACEABLE = ("proxy", "cloud", "dns", "policy")
"""Components that somebody else\'s may take the place of."""
DEFAULT_PROXY_MODE = PROXY_MODES[0]
_DEFAULT_IP_FAMILY: IpFamily = "dual"
_WITHOUT_IPV6 = "This kernel has no IPv6: the cluster is IPv4 only."

_PATIENCE = 15.0  # seconds within which a supervisor that runs must answer
_START_PATIENCE = (
    60.0  # seconds within which one that was just started must, however much else there is to do
)


@dataclass(frozen=True)
class Started:
    """What `start` did: what the cluster will be, whether it is a new one, and what to tell the user."""

    spec: ClusterSpec
    is_new: bool
    remark: str = ""


@dataclass(frozen=True)
class Wishes:
    """What a person wants of a cluster; None: as before, or as is usual."""

    nodes: int | None = None
    proxy_mode: str | None = None
    ip_family: IpFamily | None = None
    """Counts for a new cluster; as usual, that is dual-stack where the kernel has IPv6."""
    has: Mapping[str, bool | None] = field(default_factory=dict)
    """Whether it has components of ours that others can take the place of."""
    spoofing: tuple[str, ...] | None = None
    """The namespaces whose pods may send with any source address."""
    pull: bool | None = None
    """Whether images that pods wait for are pulled."""
    registries: str | None = None
    """The file that says how to reach registries."""
    settings: bytes | None = None
    """The content of a KubeletConfiguration that the agents take."""
    storage: Storage | None = None
    """Counts for a new cluster, as `control_planes` does; as usual, that is sqlite."""
    control_planes: int | None = None
    """More than one need an etcd."""
    audit_policy: str | None = None
    """The file that says what the API servers put into an audit log; "": nothing any more."""
    node_processes: NodeProcesses | None = None
    """As usual, one for a node from MANY_NODES on."""

    def without(self, old: ClusterSpec | None) -> tuple[str, ...]:
        """The components that the cluster shall not have."""
        has = {name: old is None or name not in old.without for name in REPLACEABLE}
        has |= {name: wish for name, wish in self.has.items() if wish is not None}
        return tuple(name for name in REPLACEABLE if not has[name])


def start(cluster: Cluster, wishes: Wishes) -> Started:
    """Have a supervisor bring about the cluster, as it was or changed as wished.

    Returns as soon as the supervisor knows; then comes `wellhead.lab.readiness`.

    Raises:
        LabError: the wishes can't be fulfilled, or the disk is full.
    """
    most = min(plan.max_nodes for plans in PLANS.values() for plan in plans)
    if wishes.nodes is not None and not 1 <= wishes.nodes <= most:
        raise LabError(f"--nodes {wishes.nodes}: the address plan has room for 1 to {most}")
    if wishes.ip_family is not None:
        _check_kernel(wishes.ip_family)
    if (wishes.control_planes or 1) > 1 and wishes.storage == "sqlite":
        raise LabError("several control planes need a storage that they share: --storage etcd")
    try:
        with cluster.locked(create=True):
            return _start(cluster, wishes)
    except OSError as error:
        where = error.filename or cluster.directory
        raise LabError(
            f"{where}: {error.strerror}; make room there, then run `wellhead up` again, or `wellhead down`"
        ) from error


def _start(cluster: Cluster, wishes: Wishes) -> Started:
    old = cluster.read_spec()
    running = {process.component: process for process in processes.find(cluster.name)}
    if old is None and running:
        raise LabError(
            f"cluster {cluster.name} runs, but {cluster.spec_file} is missing or damaged: "
            f"run `wellhead down --name {cluster.name}` first"
        )
    family = _family(old, wishes.ip_family)
    storage, control_planes = _control_planes(old, wishes)
    cluster.make_directories()
    snapshot = _ask_supervisor(cluster, running.get(processes.SUPERVISOR))
    if snapshot is None:  # what one that was waited for has started until it ended counts, too
        running = {process.component: process for process in processes.find(cluster.name)}
    with contextlib.ExitStack() as stack:
        listener = None
        port = old.api_port if old else 0
        if snapshot is None and running.keys().isdisjoint({"apiserver", processes.GUARDIAN}):
            # After a reboot the port may belong to somebody else: then it is another one.
            listener = (api_socket.bind(port) if old else None) or api_socket.choose()
            stack.enter_context(listener)
            port = listener.getsockname()[1]
        nodes = wishes.nodes or (old.nodes if old else DEFAULT_NODES)
        spec = ClusterSpec(
            name=cluster.name,
            nodes=nodes,
            proxy_mode=wishes.proxy_mode or (old.proxy_mode if old else DEFAULT_PROXY_MODE),
            api_port=port,
            ip_family=family,
            storage=storage,
            control_planes=control_planes,
            without=wishes.without(old),
            spoofing=wishes.spoofing if wishes.spoofing is not None else old.spoofing if old else (),
            pull=wishes.pull if wishes.pull is not None else old is not None and old.pull,
            registries=wishes.registries or (old.registries if old else ""),
            audit_policy=_audit_policy(cluster, wishes.audit_policy, old),
            settings=_settings(cluster, wishes.settings) or (old.settings if old else ""),
            node_processes=wishes.node_processes or (old.node_processes if old else _usual(nodes)),
        )
        if spec != old:
            cluster.write_spec(spec)
        if snapshot is None:
            launch.start(cluster, launch.program(cluster), listener)
        elif spec != old:
            _tell_supervisor(cluster, snapshot.pid)
    fell_back = old is None and wishes.ip_family is None and family != _DEFAULT_IP_FAMILY
    return Started(spec, old is None, _WITHOUT_IPV6 if fell_back else "")


def _usual(nodes: int) -> NodeProcesses:
    return "one" if nodes >= MANY_NODES else "each"


def _settings(cluster: Cluster, content: bytes | None) -> str:
    """Keep a configuration of the agents: its name; "" if there is none. Raises OSError."""
    if content is None:
        return ""
    name = f"kubelet-{hashlib.sha256(content).hexdigest()[:12]}.yaml"
    write_atomically(cluster.settings_file(name), content)
    return name


def _family(old: ClusterSpec | None, asked: IpFamily | None) -> IpFamily:
    """The cluster's IP family. Raises LabError when it can't be the one that is asked for, or as before."""
    if old is not None and asked not in (None, old.ip_family):
        raise LabError(
            f"--ip-family {asked}: cluster {old.name} is {old.ip_family}, and what it has allocated can't "
            f"change: run `wellhead down --name {old.name}` first, or give another one a --name"
        )
    if asked is not None:
        return asked
    if old is not None:
        _check_kernel(old.ip_family)
        return old.ip_family
    return _DEFAULT_IP_FAMILY if prerequisites.has_ipv6() else "ipv4"


def _audit_policy(cluster: Cluster, policy: str | None, old: ClusterSpec | None) -> str:
    """The name of the audit policy's copy, "" for none. Another policy has another name: then the API servers
    are started anew. Raises LabError if it is none."""
    if policy is None:
        return old.audit_policy if old else ""
    if not policy:
        return ""
    content = Path(policy).read_bytes()
    try:
        read_policy(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeDecodeError, PolicyError) as error:
        raise LabError(f"--audit-policy {policy}: {error}") from None
    name = f"policy-{hashlib.sha256(content).hexdigest()[:8]}.yaml"
    make_private(cluster.audit)
    write_if_different(cluster.audit / name, content)
    return name


def _control_planes(old: ClusterSpec | None, wishes: Wishes) -> tuple[Storage, int]:
    """The cluster's storage and how many control planes it has. Raises LabError: they stay as they are."""
    if old is None:
        count = wishes.control_planes or 1
        return wishes.storage or ("etcd" if count > 1 else "sqlite"), count
    for option, asked, is_so in (
        ("--storage", wishes.storage, old.storage),
        ("--control-planes", wishes.control_planes, old.control_planes),
    ):
        if asked not in (None, is_so):
            raise LabError(
                f"{option} {asked}: cluster {old.name} has {is_so}, and that can't change: run"
                f" `wellhead down --name {old.name}` first, or give another one a --name"
            )
    return old.storage, old.control_planes


def _check_kernel(family: IpFamily) -> None:
    if family != "ipv4" and not prerequisites.has_ipv6():
        raise LabError(
            f"the cluster is to be {family}, but this kernel has no IPv6 (was it started with "
            "ipv6.disable=1?): use --ip-family ipv4"
        )


def _ask_supervisor(cluster: Cluster, supervisor: Process | None) -> Snapshot | None:
    """The state that the supervisor tells; None if there is none (any more)."""
    asked = time.monotonic()
    while True:
        snapshot = state.ask(cluster.supervisor_socket)
        if snapshot is not None or supervisor is None:
            return snapshot
        if processes.inspect(supervisor.pid) != supervisor:
            return None  # it has ended meanwhile
        if time.monotonic() - asked >= _PATIENCE and supervisor.age >= _START_PATIENCE:
            processes.end([supervisor])  # it hangs: another one will find everything where it is
            return None
        # An `up` that was killed has just started it.
        time.sleep(0.05)


def _tell_supervisor(cluster: Cluster, pid: int) -> None:
    """Have it read cluster.json again."""
    process = processes.inspect(pid)
    if process is None or (process.cluster, process.component) != (cluster.name, processes.SUPERVISOR):
        return
    descriptor = processes.hold(process)
    if descriptor is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGHUP)
        os.close(descriptor)
