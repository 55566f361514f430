"""emptyDir volumes: a directory of the node's disk, or of its memory.

Source: pkg/volume/emptydir (calculateEmptyDirMemorySize) of v1.36.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.linux import mounts
from wellhead.node.pods import spec


def make(path: Path, source: Obj, group: int | None, memory: int) -> None:
    """Make the volume, or bring it up to date; one in memory has so many bytes. Blocks. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True)
    if source.get("medium") == "Memory" and not path.is_mount():
        size = f"size={memory}" if memory else ""
        mounts.mount("tmpfs", path, "tmpfs", mounts.MS_NODEV | mounts.MS_NOSUID, size)
    if group is not None:
        os.chown(path, -1, group)
    mode = source.get("mode")
    path.chmod((0o777 if mode is None else int(mode)) if group is None else 0o2777)


def memory_size(pod: Obj, source: Obj, allocatable: Mapping[str, str]) -> int:
    """Bytes of a volume in memory: the least of its limit, the pod's limit and what the node has. Pure.

    The pod's is the sum of the limits that its containers have, or that of the pod itself.
    """
    whole = ((pod["spec"].get("resources") or {}).get("limits") or {}).get("memory")
    together = [*spec.containers(pod), *filter(spec.is_sidecar, spec.init_containers(pod))]
    texts = [((each.get("resources") or {}).get("limits") or {}).get("memory") for each in together]
    limit = _bytes(whole) or sum(map(_bytes, texts))
    sizes = (_bytes(allocatable.get("memory")), limit, _bytes(source.get("sizeLimit")))
    return min((size for size in sizes if size > 0), default=0)


def _bytes(text: object) -> int:
    return Quantity.parse(str(text)).value if text is not None else 0
