"""What a Node object says about its node.

Source: pkg/kubelet/nodestatus and kubelet_node_status.go of v1.37.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wellhead import __version__
from wellhead.api.kinds.amounts import is_extended
from wellhead.api.meta import Obj, now
from wellhead.api.names import ARCH_LABEL, BETA_ARCH_LABEL, BETA_OS_LABEL, HOSTNAME_LABEL, OS_LABEL
from wellhead.api.quantity import Quantity
from wellhead.images import reference
from wellhead.images.store import Image, ImageStore
from wellhead.linux import programs
from wellhead.linux.proc import machine_memory
from wellhead.node import machine
from wellhead.node.pods.runtime_class import HANDLERS

KUBELET_VERSION = f"v1.37.1+wellhead-{__version__}"
_MAX_PODS = 110
_IMAGES_REPORTED = 50
# What a pod may need of its node (KEP-5328), sorted as the API has it.
_FEATURES = (
    "ExtendWebSocketsToKubelet",
    "InPlacePodLevelResourcesVerticalScaling",
    "RestartAllContainersOnContainerExits",
)


@dataclass(frozen=True)
class NodeFacts:
    """What the agent knows of its node.

    `ready` answers (is it, message), `disk` what is wrong with it, `pressures` which conditions of that kind
    it has. `held_back` are the bytes of memory and disk below which pods are evicted.
    """

    name: str
    internal_ips: tuple[str, ...]  # one of each family, the primary one first
    external_ips: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    kubelet_port: int
    images: ImageStore
    root: Path
    ready: Callable[[], tuple[bool, str]]
    disk: Callable[[], str]
    pressures: Callable[[], frozenset[str]] = frozenset
    held_back: Mapping[str, int] = field(default_factory=dict)


def labels(name: str) -> dict[str, str]:
    """The labels that a node gives itself."""
    architecture = _architecture()
    return {
        HOSTNAME_LABEL: name,
        OS_LABEL: "linux",
        ARCH_LABEL: architecture,
        BETA_OS_LABEL: "linux",
        BETA_ARCH_LABEL: architecture,
    }


def capacity(root: Path) -> dict[str, str]:
    """What the machine has. Every node of a box has all of it, as containers of one host would."""
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{machine_memory() // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(root).total // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "pods": str(_MAX_PODS),
    }


def allocatable(has: Mapping[str, str], held_back: Mapping[str, int]) -> dict[str, str]:
    """What pods can have of it: not what is kept free, by resource, for the node itself."""
    left = {
        name: Quantity.parse(has[name]).value - amount for name, amount in held_back.items() if name in has
    }
    return {**has, **{name: f"{max(amount, 0) // 1024}Ki" for name, amount in left.items()}}


def status(facts: NodeFacts, before: Obj) -> Obj:
    """The node's status; conditions that are as `before` keep their times of transition."""
    addresses = [{"type": "InternalIP", "address": address} for address in facts.internal_ips]
    addresses += [{"type": "ExternalIP", "address": address} for address in facts.external_ips]
    addresses.append({"type": "Hostname", "address": facts.name})
    has = capacity(facts.root)
    others, gone = _extended(before)
    return {
        "addresses": addresses,
        "capacity": has | others,
        "allocatable": allocatable(has, facts.held_back) | others | gone,
        "conditions": conditions(facts, before),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.kubelet_port}},
        "declaredFeatures": list(_FEATURES),
        "features": {"supplementalGroupsPolicy": True},
        "images": _images(facts.images),
        "nodeInfo": _node_info(),
        "runtimeHandlers": [{"name": name, "features": _abilities()} for name in ("", *HANDLERS)],
    }


def _extended(before: Obj) -> tuple[dict[str, str], dict[str, None]]:
    """What others say that the node has; and what they said, and say no more.

    They write the capacity ("Advertise Extended Resources for a Node"): pods can have all of it.
    """
    status = before.get("status") or {}
    found = {name: amount for name, amount in (status.get("capacity") or {}).items() if is_extended(name)}
    gone = {name: None for name in status.get("allocatable") or {} if is_extended(name) and name not in found}
    return found, gone


def conditions(facts: NodeFacts, before: Obj) -> list[Obj]:
    """The conditions that a kubelet keeps, Ready last as there."""
    ready, message = facts.ready()
    disk, under = facts.disk(), facts.pressures()
    known = [
        _amount("MemoryPressure", under, "Memory", "memory"),
        (
            "DiskPressure",
            bool(disk) or "DiskPressure" in under,
            "KubeletHasDiskPressure" if disk or "DiskPressure" in under else "KubeletHasNoDiskPressure",
            disk or f"kubelet has {'' if 'DiskPressure' in under else 'no '}disk pressure",
        ),
        _amount("PIDPressure", under, "PID", "PID"),
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


def _amount(kind: str, under: frozenset[str], reason: str, what: str) -> tuple[str, bool, str, str]:
    short = kind in under
    word = "Insufficient" if short else "Sufficient"
    return kind, short, f"KubeletHas{word}{reason}", f"kubelet has {word.lower()} {what} available"


def _abilities() -> Obj:
    return {"recursiveReadOnlyMounts": True, "userNamespaces": Path("/proc/self/ns/user").exists()}


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _node_info() -> Obj:
    return {
        "architecture": _architecture(),
        "bootID": machine.boot(),
        "containerRuntimeVersion": f"crun://{_crun_version()}",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": _read("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": _os_name(),
        # Where the firmware tells none, cadvisor takes the machine's id as well.
        "systemUUID": _read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
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
    done = await programs.run("crun", "--version")
    first = done.output.decode().partition("\n")[0].split()
    _versions["crun"] = first[-1] if first else "unknown"


def _images(store: ImageStore) -> list[Obj]:
    named = [image for image in store.images() if image.names]
    return [{"names": _names(image), "sizeBytes": image.size} for image in named[:_IMAGES_REPORTED]]


def _names(image: Image) -> list[str]:
    """Digests first, as a kubelet; what was built here has none but its ID."""
    digests = [name for name in image.names if "@" in name]
    tags = [name for name in image.names if "@" not in name]
    return [*(digests or [f"{reference.repository(tags[0])}@{image.id}"]), *tags]


def same(present: Obj, wanted: Obj) -> bool:
    """Whether nothing differs but the time of the last heartbeat, which a Lease tells better."""

    def comparable(status: Obj) -> Obj:
        ours = {each["type"] for each in wanted["conditions"]}
        kept = [
            {key: value for key, value in each.items() if key != "lastHeartbeatTime"}
            for each in status.get("conditions") or ()
            if each["type"] in ours
        ]
        found = {key: status.get(key) for key in wanted} | {"conditions": kept}
        amounts = found.get("allocatable") or {}
        there = {name: amount for name, amount in amounts.items() if amount is not None}
        return found | {"allocatable": there}

    return comparable(present) == comparable(wanted)
