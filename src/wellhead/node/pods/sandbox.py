"""What the containers of a pod share: namespaces, address, /dev/shm, files of /etc.

No process holds the namespaces, but for that of processes if it is shared; bind mounts below the pod's
directory do. A reboot of the machine unmounts them, which is how one notices that the sandbox is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.linux import mounts, namespaces, trees
from wellhead.node.network.allocation import NoAddressLeft
from wellhead.node.network.families import IPAddress
from wellhead.node.network.host_ports import HostPort, HostPortTaken
from wellhead.node.network.links import PodLink
from wellhead.node.network.ruleset import PodEnd
from wellhead.node.pods import files, spec
from wellhead.node.pods.context import Context
from wellhead.node.pods.process_holder import HolderError, ProcessHolder
from wellhead.node.pods.record import PodRecord, RecordFile
from wellhead.node.pods.user_ranges import NoUsersLeft
from wellhead.node.runtime.commands import CommandFailed

_SHM_SIZE = "size=65536k"
_FAILURES = (
    *(OSError, ValueError, NoAddressLeft, NoUsersLeft, CommandFailed, HostPortTaken),
    HolderError,
)


class SandboxError(Exception):
    """The sandbox could not be made (now)."""


class Sandbox:
    """One pod's sandbox, in the pod's directory."""

    def __init__(self, context: Context, directory: Path, file: RecordFile) -> None:
        self._context = context
        self._directory = directory
        self._file = file
        self._holder = ProcessHolder(context, directory, directory / "ns/pid", file)
        self.files = directory / "etc"
        self.shm = directory / "shm"

    def namespaces(self, pod: Obj) -> dict[str, Path | None]:
        """The namespaces for the pod's containers, as `oci.Container` takes them."""
        own = self._directory / "ns"
        host = spec.host_network(pod)
        found: dict[str, Path | None] = {
            "network": None if host else own / "net",
            "uts": None if host else own / "uts",
            "ipc": None if pod["spec"].get("hostIPC") else own / "ipc",
        }
        if spec.has_own_users(pod):
            found["user"] = own / "user"
        if pod["spec"].get("hostPID"):
            found["pid"] = None
        elif spec.shares_processes(pod):
            found["pid"] = own / "pid"
        return found

    def exists(self, pod: Obj) -> bool:
        """Whether the namespaces are there, and not only the files that they were mounted on."""
        return all(
            path is None or namespaces.identity(path) is not None for path in self.namespaces(pod).values()
        )

    def is_whole(self, pod: Obj) -> bool:
        """Whether nobody has unmounted a part of it."""
        return self.exists(pod) and self.shm.is_mount()

    async def create(self, record: PodRecord) -> None:
        """Make the sandbox and note its addresses in the record, which is saved before anything is made.

        Raises:
            SandboxError: something failed; what was made so far is removed again by `remove`.
        """
        handler = "crun" if record.pod["spec"].get("runtimeClassName") else ""
        with self._context.runtime.operations.making_sandbox(handler):
            await self._create(record)

    async def _create(self, record: PodRecord) -> None:
        pod = record.pod
        uid = pod["metadata"]["uid"]
        try:
            if not spec.host_network(pod) and not record.holds_ips:
                record.ips = tuple(map(str, self._context.addresses.allocate()))
                record.holds_ips = True
                await self._file.save(record)
            if spec.has_own_users(pod) and not record.first_id:
                record.first_id = self._context.users.allocate()
                await self._file.save(record)
            await asyncio.to_thread(self._make, pod, record.ips, record.first_id)
            if spec.shares_processes(pod):
                await self._holder.start(record, self.namespaces(pod))
            if not spec.host_network(pod):
                link = pod_link(self._context, record)
                # Before there is a link, so that its first packet meets them.
                await self._context.rules.admit(uid, link.name, link.sources)
                await self._context.links.connect(link, self._directory / "ns/net")
                await self._context.rules.set_host_ports(uid, host_ports(pod, _addresses(record)))
        except _FAILURES as error:
            raise SandboxError(str(error)) from error
        record.sandbox = True  # saved with the first container, before which it might as well be made anew

    async def remove(self, record: PodRecord) -> None:
        """Remove whatever there is of the sandbox, and free its addresses."""
        with self._context.runtime.operations.measured("remove_podsandbox"):
            await self._remove(record)

    async def _remove(self, record: PodRecord) -> None:
        uid = record.pod["metadata"]["uid"]
        if record.holds_ips:
            await self._context.links.disconnect(uid)
            await self._context.rules.dismiss(uid)
            self._context.addresses.release(_addresses(record))
            record.holds_ips = False
        record.sandbox = False
        await self._holder.stop(record)
        await asyncio.to_thread(self._unmake)
        if record.first_id:
            self._context.users.release(record.first_id)
            record.first_id = 0

    async def lost(self, record: PodRecord) -> None:
        """Wait until what keeps a part of it has ended; for ever if nothing needs to."""
        if record.holder:
            await self._holder.ended(record)
        else:
            await asyncio.Event().wait()

    def _make(self, pod: Obj, ips: Sequence[str], first_id: int) -> None:
        self._unmake()
        own = {
            {"network": "net"}.get(kind, kind): path
            for kind, path in self.namespaces(pod).items()
            if path is not None and kind != "pid"
        }
        (self._directory / "ns").mkdir(parents=True, exist_ok=True)
        if own:
            name = spec.kernel_hostname(pod, self._context.dns.domain)
            prepare = (lambda: namespaces.sethostname(name)) if "uts" in own else None
            if first_id:
                namespaces.pin_with_users(own, first_id, prepare)
            else:
                namespaces.pin(own, prepare)
        self.shm.mkdir(exist_ok=True)
        flags = mounts.MS_NODEV | mounts.MS_NOSUID | mounts.MS_NOEXEC
        mounts.mount("shm", self.shm, "tmpfs", flags, f"mode=1777,{_SHM_SIZE}")
        files.write(self.files, pod, ips or self._context.host_ips, self._context.dns)

    def _unmake(self) -> None:
        for path in (self._directory / "ns", self.shm):
            trees.remove(path)


def pod_link(context: Context, record: PodRecord) -> PodLink:
    """The link that a pod with addresses of its own has. Raises KeyError: the node has other networks now."""
    addresses = _addresses(record)
    metadata = record.pod["metadata"]
    return PodLink(
        metadata["uid"],
        context.addresses.interfaces(addresses),
        spoofs=metadata["namespace"] in context.spoofing,
        localnet=frozenset(
            each.pod_ip.version for each in host_ports(record.pod, addresses) if each.answers_on_loopback
        ),
    )


def pod_end(context: Context, record: PodRecord) -> PodEnd:
    """What the node's rules say of such a pod."""
    link = pod_link(context, record)
    return PodEnd(link.name, link.sources, host_ports(record.pod, _addresses(record)))


def _addresses(record: PodRecord) -> list[IPAddress]:
    return [ip_address(each) for each in record.ips]


def host_ports(pod: Obj, addresses: Iterable[IPAddress]) -> frozenset[HostPort]:
    """The ports of the node that lead to the pod's addresses, in the family of its hostIP or in all."""
    declared = [
        port
        for container in (*spec.init_containers(pod), *spec.containers(pod))
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]
    found = set()
    for address in addresses:
        for port in declared:
            host_ip = ip_address(port["hostIP"]) if port.get("hostIP") else None
            if host_ip is None or host_ip.version == address.version:
                found.add(
                    HostPort(
                        protocol=str(port.get("protocol") or "TCP").lower(),
                        port=int(port["hostPort"]),
                        host_ip=None if host_ip is None or host_ip.is_unspecified else host_ip,
                        pod_ip=address,
                        pod_port=int(port["containerPort"]),
                    )
                )
    return frozenset(found)
