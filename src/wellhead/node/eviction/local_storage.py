"""Pods that take more of the node's disk than they may: emptyDirs, and limits of ephemeral-storage. Pure.

Source: pkg/kubelet/eviction/eviction_manager.go (localStorageEviction) of v1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.node.pods import spec

RESOURCE = "ephemeral-storage"


@dataclass(frozen=True)
class Usage:
    """Bytes of a pod on the node's disk, and how many files.

    `containers` have what they wrote to their own file system and their logs; `volumes` are those of the
    node's disk, emptyDirs and others.
    """

    containers: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    inodes: int = 0

    @property
    def total(self) -> int:
        return sum(self.containers.values()) + sum(self.volumes.values())


def largest(pod: Obj) -> int | None:
    """The largest of its limits, in bytes; None if there is nothing that the pod could exceed."""
    limits = [*volume_limits(pod).values(), *container_limits(pod).values()]
    whole = pod_limit(pod)
    return max((each.value for each in (*limits, *([whole] if whole else []))), default=None)


class Excess(NamedTuple):
    """What a pod exceeds: upstream's name of it in metrics, and its words."""

    signal: str
    message: str


def excess(pod: Obj, usage: Usage) -> Excess | None:
    """What the pod exceeds; None if nothing."""
    for name, limit in volume_limits(pod).items():
        if usage.volumes.get(name, 0) > limit.value:
            message = f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
            return Excess("emptydirfs.limit", message)
    whole = pod_limit(pod)
    if whole is not None and usage.total > whole.value:
        message = f"Pod ephemeral local storage usage exceeds the total limit of containers {whole}. "
        return Excess("ephemeralpodfs.limit", message)
    for name, limit in container_limits(pod).items():
        if usage.containers.get(name, 0) > limit.value:
            message = f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
            return Excess("ephemeralcontainerfs.limit", message)
    return None


def volume_limits(pod: Obj) -> dict[str, Quantity]:
    """emptyDirs' limits. Those in memory count, too, though the kernel holds them to theirs."""
    found = {}
    for volume in pod["spec"].get("volumes") or ():
        text = (volume.get("emptyDir") or {}).get("sizeLimit")
        if text is not None and (limit := Quantity.parse(str(text))).nanos > 0:
            found[str(volume["name"])] = limit
    return found


def container_limits(pod: Obj) -> dict[str, Quantity]:
    """Those of the ordinary containers."""
    return {
        str(each["name"]): limit
        for each in spec.containers(pod)
        if (limit := _limit(each)) is not None and limit.nanos
    }


def pod_limit(pod: Obj) -> Quantity | None:
    """What all may use together: the sum of those limits that there are, or an init container's if larger."""
    together = [*spec.containers(pod), *filter(spec.is_sidecar, spec.init_containers(pod))]
    limits = [limit for each in together if (limit := _limit(each)) is not None]
    steps = [limit for each in spec.init_containers(pod) if (limit := _limit(each)) is not None]
    found = [sum(limits[1:], start=limits[0])] if limits else []
    return max([*found, *steps], default=None)


def _limit(container: Obj) -> Quantity | None:
    text = ((container.get("resources") or {}).get("limits") or {}).get(RESOURCE)
    return Quantity.parse(str(text)) if text is not None else None
