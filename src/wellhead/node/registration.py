"""The Node object: made when it is missing, corrected when it differs, and its Lease renewed as a heartbeat.

Source: "Nodes" (heartbeats) and pkg/kubelet/kubelet_node_status.go of v1.37.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from wellhead import __version__
from wellhead.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from wellhead.api.meta import Obj, now, now_micro
from wellhead.api.resources import LEASES, NODES
from wellhead.client.backoff import Backoff
from wellhead.client.informer import Informer
from wellhead.client.rest import Client, ConnectionLost
from wellhead.node.images.store import ImageStore

_log = logging.getLogger(__name__)

KUBELET_VERSION = f"v1.37.1+wellhead-{__version__}"
_MAX_PODS = 110
_LEASE_NAMESPACE = "kube-node-lease"
_LEASE_SECONDS = 40
_RENEW_SECONDS = 10.0
_STATUS_SECONDS = 300.0
_IMAGES_REPORTED = 50


@dataclass(frozen=True)
class NodeFacts:
    """What the agent knows of its node. `ready` answers (is it, message)."""

    name: str
    internal_ip: str
    external_ip: str
    pod_cidr: IPv4Network
    kubelet_port: int
    images: ImageStore
    root: Path
    ready: Callable[[], tuple[bool, str]]


def labels(name: str) -> dict[str, str]:
    """The labels that a node gives itself."""
    architecture = _architecture()
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
    }


def capacity(root: Path) -> dict[str, str]:
    """What the machine has. Every node of a box has all of it, as containers of one host would."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(root).total // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "pods": str(_MAX_PODS),
    }


def status(facts: NodeFacts, before: Obj) -> Obj:
    """The node's status; conditions that are as `before` keep their times of transition."""
    addresses = [{"type": "InternalIP", "address": facts.internal_ip}]
    if facts.external_ip:
        addresses.append({"type": "ExternalIP", "address": facts.external_ip})
    addresses.append({"type": "Hostname", "address": facts.name})
    has = capacity(facts.root)
    return {
        "addresses": addresses,
        "capacity": has,
        "allocatable": has,
        "conditions": conditions(facts, before),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.kubelet_port}},
        "images": _images(facts.images),
        "nodeInfo": _node_info(),
    }


def conditions(facts: NodeFacts, before: Obj) -> list[Obj]:
    """The conditions that a kubelet keeps, Ready last as there."""
    ready, message = facts.ready()
    known = [
        ("MemoryPressure", False, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", ready, "KubeletReady" if ready else "KubeletNotReady", message),
    ]
    earlier = {each["type"]: each for each in (before.get("status") or {}).get("conditions") or ()}
    time = now()
    found = []
    for kind, true, reason, text in known:
        value = "True" if true else "False"
        same = (earlier.get(kind) or {}).get("status") == value
        found.append(
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": text,
                "lastHeartbeatTime": time,
                "lastTransitionTime": earlier[kind]["lastTransitionTime"] if same else time,
            }
        )
    return found


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _node_info() -> Obj:
    return {
        "architecture": _architecture(),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": f"crun://{_crun_version()}",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": _read("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": _os_name(),
        "systemUUID": _read("/sys/class/dmi/id/product_uuid"),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


_versions: dict[str, str] = {}


def _crun_version() -> str:
    return _versions.get("crun", "unknown")


async def find_versions() -> None:
    """Ask the runtime for its version, once, for the node's status."""
    process = await asyncio.create_subprocess_exec("crun", "--version", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    first = out.decode().partition("\n")[0].split()
    _versions["crun"] = first[-1] if first else "unknown"


def _images(store: ImageStore) -> list[Obj]:
    return [
        {"names": [f"{image.names[0].rpartition(':')[0]}@{image.id}", *image.names], "sizeBytes": image.size}
        for image in store.images()[:_IMAGES_REPORTED]
    ]


class Registration:
    """Keeps the Node object and the Lease. `nodes` is a running informer of Nodes."""

    def __init__(self, client: Client, nodes: Informer, facts: NodeFacts) -> None:
        self._client = client
        self._nodes = nodes
        self._facts = facts
        self._changed = asyncio.Event()
        self._registered = asyncio.Event()
        nodes.on_change(self._noticed)

    def update(self) -> None:
        """The node's readiness has changed: say so at once."""
        self._changed.set()

    async def registered(self) -> None:
        """Wait until the Node object has been there once."""
        await self._registered.wait()

    async def run(self) -> None:
        """Until cancelled."""
        await find_versions()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_node())
            group.create_task(self._keep_lease())

    def _noticed(self, old: Obj | None, new: Obj | None) -> None:
        mine = (new or old or {})["metadata"]["name"] == self._facts.name
        if mine and new is None:
            self._changed.set()

    async def _keep_node(self) -> None:
        backoff = Backoff(0.05, 5.0)
        while True:
            self._changed.clear()
            try:
                await self._write_node()
            except (NotFound, AlreadyExists, Conflict) as error:
                _log.debug("node: %s", error)
                await asyncio.sleep(backoff.next())
                continue
            except (ApiError, ConnectionLost) as error:
                _log.warning("node %s: %s", self._facts.name, error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._registered.set()
            try:
                async with asyncio.timeout(_STATUS_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _write_node(self) -> None:
        facts = self._facts
        try:
            present = await self._client.get(NODES, facts.name)
        except NotFound:
            present = await self._client.create(NODES, self._new_node())
            _log.info("registered node %s", facts.name)
        spec = present.get("spec") or {}
        metadata: Obj = {}
        if not labels(facts.name).items() <= (present["metadata"].get("labels") or {}).items():
            metadata["labels"] = labels(facts.name)
        if metadata or spec.get("podCIDR") != str(facts.pod_cidr):
            body = {"metadata": metadata, "spec": self._spec()}
            present = await self._client.patch(NODES, facts.name, body)
        wanted = await asyncio.to_thread(status, facts, present)
        if not _same_status(present.get("status") or {}, wanted):
            await self._client.patch(
                NODES, facts.name, {"status": wanted}, kind="strategic", subresource="status"
            )

    def _spec(self) -> Obj:
        return {"podCIDR": str(self._facts.pod_cidr), "podCIDRs": [str(self._facts.pod_cidr)]}

    def _new_node(self) -> Obj:
        facts = self._facts
        node: Obj = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": facts.name, "labels": labels(facts.name)},
            "spec": self._spec(),
        }
        return node | {"status": status(facts, node)}

    async def _keep_lease(self) -> None:
        backoff = Backoff(0.2, 7.0)
        while True:
            try:
                await self._renew()
            except (ApiError, ConnectionLost) as error:
                log = _log.debug if isinstance(error, NotFound | Conflict) else _log.warning
                log("lease: %s", error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            await asyncio.sleep(_RENEW_SECONDS)

    async def _renew(self) -> None:
        name = self._facts.name
        time = now_micro()
        try:
            await self._client.patch(LEASES, name, {"spec": {"renewTime": time}}, _LEASE_NAMESPACE)
        except NotFound:
            await self.registered()
            await self._client.create(LEASES, await self._new_lease(time))

    async def _new_lease(self, time: str) -> Obj:
        name = self._facts.name
        node = await self._client.get(NODES, name)
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": name, "namespace": _LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": time},
        }


def _same_status(present: Obj, wanted: Obj) -> bool:
    """Whether nothing differs but the time of the last heartbeat, which a Lease tells better."""

    def comparable(status: Obj) -> Obj:
        ours = {each["type"] for each in wanted["conditions"]}
        kept = [
            {key: value for key, value in each.items() if key != "lastHeartbeatTime"}
            for each in status.get("conditions") or ()
            if each["type"] in ours
        ]
        return {key: status.get(key) for key in wanted} | {"conditions": kept}

    return comparable(present) == comparable(wanted)
