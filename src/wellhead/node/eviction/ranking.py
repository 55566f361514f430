"""Which pod goes first when the node lacks something, and what is said of it. Pure.

Source: pkg/kubelet/eviction/helpers.go of v1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.node.eviction.thresholds import RESOURCES, Observation, Threshold
from wellhead.node.pods import spec

SYSTEM_CRITICAL = 2_000_000_000
_MIRRORED = "kubernetes.io/config.source"


@dataclass(frozen=True)
class Used:
    """What a pod uses: bytes of memory and disk, inodes, processes."""

    memory: int = 0
    disk: int = 0
    inodes: int = 0
    processes: int = 0
    containers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Resource → container → bytes."""

    def of(self, resource: str) -> int:
        return {
            "memory": self.memory,
            "ephemeral-storage": self.disk,
            "inodes": self.inodes,
            "pids": self.processes,
        }[resource]


def is_critical(pod: Obj) -> bool:
    """Whether a pod is spared: static ones, and those of the system's priorities."""
    static = (pod["metadata"].get("annotations") or {}).get(_MIRRORED, "api") != "api"
    return static or int(pod["spec"].get("priority") or 0) >= SYSTEM_CRITICAL


def ranked(pods: Iterable[Obj], resource: str, used: Mapping[str, Used]) -> list[Obj]:
    """The pods, who is to go first at the beginning. `used` is by uid; who isn't in there goes first."""

    def order(pod: Obj) -> tuple[object, ...]:
        mine = used.get(pod["metadata"]["uid"])
        priority = int(pod["spec"].get("priority") or 0)
        if resource == "pids":
            return (priority, -(mine.processes if mine else 0))
        if mine is None:
            return (False, False, priority, 0)
        asked, taken = request(pod, resource), mine.of(resource)
        return (True, taken <= asked, priority, asked - taken)

    return sorted(pods, key=order)


def request(pod: Obj, resource: str) -> int:
    """How much of it the pod asks for, its own resources before its containers'."""
    whole = ((pod["spec"].get("resources") or {}).get("requests") or {}).get(resource)
    if whole is not None:
        return Quantity.parse(str(whole)).value
    steps = [_asked(each, resource) for each in spec.init_containers(pod) if not spec.is_sidecar(each)]
    together = [*spec.containers(pod), *filter(spec.is_sidecar, spec.init_containers(pod))]
    asked = max([sum(_asked(each, resource) for each in together), *steps])
    overhead = (pod["spec"].get("overhead") or {}).get(resource)
    return asked + (Quantity.parse(str(overhead)).value if overhead is not None else 0)


def _asked(container: Obj, resource: str) -> int:
    text = ((container.get("resources") or {}).get("requests") or {}).get(resource)
    return Quantity.parse(str(text)).value if text is not None else 0


def message(
    pod: Obj, threshold: Threshold, seen: Observation, used: Used | None
) -> tuple[str, dict[str, str]]:
    """Why this pod has to go, and the annotations of the event that says so."""
    resource = RESOURCES[threshold.signal]
    text = f"The node was low on resource: {resource}. "
    wanted, there = _said(resource, threshold.amount.of(seen.capacity)), _said(resource, seen.available)
    text += f"Threshold quantity: {wanted}, available: {there}. "
    annotations: dict[str, str] = {}
    exceeding: dict[str, str] = {}
    if used is None:
        return text, annotations
    whole = ((pod["spec"].get("resources") or {}).get("requests") or {}).get(resource)
    if resource == "memory" and whole is not None:
        who, in_all = pod["metadata"]["name"], _said(resource, used.memory)
        text += f"Pod {who} was using {in_all}, request is {whole}, has larger consumption of {resource}. "
        annotations |= {"offending_pod": who, "offending_pod_usage": in_all}
    for name, taken in (used.containers.get(resource) or {}).items():
        container = next((each for each in spec.every_container(pod) if each["name"] == name), None)
        if container is None:
            continue
        asked = ((container.get("resources") or {}).get("requests") or {}).get(resource)
        if taken > _asked(container, resource):
            text += (
                f"Container {name} was using {_said(resource, taken)}, "
                f"request is {asked if asked is not None else 0}, has larger consumption of {resource}. "
            )
            exceeding[name] = _said(resource, taken)
    annotations |= {
        "offending_containers": ",".join(exceeding),
        "offending_containers_usage": ",".join(exceeding.values()),
        "starved_resource": resource,
    }
    return text, annotations


def _said(resource: str, amount: int) -> str:
    if resource in ("inodes", "pids"):
        return str(amount)
    if amount % 1024 and amount >= 1024:
        amount -= amount % 1024  # as a kubelet, which knows memory and disks by their pages and blocks
    return str(Quantity(amount * 10**9, "binary"))
