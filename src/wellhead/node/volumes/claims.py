"""Volumes that pods have by claims: which PersistentVolume it is, and what of this node that is.

Source: pkg/kubelet/volumemanager/populator and pkg/volume/{hostpath,local} of v1.36.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from wellhead.api.errors import NotFound
from wellhead.api.kinds.storage.volumes import source_of
from wellhead.api.meta import Obj, is_controlled_by, is_deleting, labels
from wellhead.api.resources import NODES, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from wellhead.api.storage import Node, allows
from wellhead.client.rest import Client
from wellhead.linux import mounts
from wellhead.node.volumes.content import VolumeError

_ELSEWHERE = "a node here has no way to storage outside of it"


@dataclass(frozen=True)
class Found:
    """A volume of this node: a path, its hostPath type ("" for none), and whether fsGroup may own it."""

    path: Path
    kind: str = ""
    owned_by_group: bool = False


def claim_of(pod: Obj, volume: Obj) -> str:
    """The claim's name; "" for a volume that isn't one by a claim."""
    if source := volume.get("persistentVolumeClaim"):
        return str(source["claimName"])
    return f"{pod['metadata']['name']}-{volume['name']}" if volume.get("ephemeral") else ""


def is_read_only(volume: Obj) -> bool:
    """Whether nobody may write to it, whatever its mounts say."""
    return bool((volume.get("persistentVolumeClaim") or {}).get("readOnly")) or "image" in volume


async def find(client: Client, pod: Obj, volume: Obj, node_name: str) -> Found:
    """What a claim has got. Raises VolumeError, ApiError, ConnectionLost."""
    name, namespace = claim_of(pod, volume), pod["metadata"]["namespace"]
    try:
        claim = await client.get(PERSISTENTVOLUMECLAIMS, name, namespace)
    except NotFound:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found') from None
    if volume.get("ephemeral") and not is_controlled_by(claim, pod):
        raise VolumeError(f'PVC "{name}" was not created for this pod (pod is not owner)')
    if is_deleting(claim):
        raise VolumeError(f'persistentvolumeclaim "{name}" is being deleted')
    bound = claim["spec"].get("volumeName")
    if not bound or (claim.get("status") or {}).get("phase") != "Bound":
        raise VolumeError(f'PVC "{name}" is not bound')
    try:
        found = await client.get(PERSISTENTVOLUMES, bound)
    except NotFound:
        raise VolumeError(f'persistentvolume "{bound}" not found') from None
    if (found["spec"].get("claimRef") or {}).get("uid") != claim["metadata"]["uid"]:
        raise VolumeError(f'PV "{bound}" is bound to another claim than "{name}"')
    if found["spec"].get("volumeMode") == "Block":
        raise VolumeError(f'PV "{bound}" is a block device: there are none on these nodes')
    if found["spec"].get("nodeAffinity"):
        node = await client.get(NODES, node_name)
        if not allows(found, Node(node_name, labels(node))):
            raise VolumeError(f'PV "{bound}": no matching NodeSelectorTerms: it is of another node')
    return _of(found)


def _of(volume: Obj) -> Found:
    spec, kind = volume["spec"], source_of(volume)
    if kind == "hostPath":
        return Found(Path(spec["hostPath"]["path"]), spec["hostPath"].get("type") or "")
    if kind == "local":
        path = Path(spec["local"]["path"])
        if not path.exists():
            raise VolumeError(f"path {str(path)!r} does not exist")
        return Found(path, owned_by_group=True)
    raise VolumeError(f"volumes of type {kind} are not supported by the wellhead node agent: {_ELSEWHERE}")


def show(source: Path, place: Path) -> None:
    """Let what is at `source` be at `place`, too. Blocks."""
    if mounts.is_mounted(place):
        return
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    mounts.mount(source, place, flags=mounts.MS_BIND | mounts.MS_REC)


def give_to_group(top: Path, group: int, *, only_if_other: bool) -> None:
    """Let a group own a tree, and have what is made in it (fsGroup). Links are followed nowhere. Blocks.

    `only_if_other`: not if the top is so already (fsGroupChangePolicy OnRootMismatch).
    """
    info = top.stat()
    wanted = 0o2070 | 0o400
    if only_if_other and info.st_gid == group and info.st_mode & wanted == wanted:
        return
    for directory, _, names, fd in os.fwalk(top, follow_symlinks=False):
        for name in names:
            _give(name, group, fd, 0o060)
        _give(directory, group, None, 0o2070)


def _give(name: str, group: int, directory: int | None, mode: int) -> None:
    info = os.stat(name, dir_fd=directory, follow_symlinks=False)
    os.chown(name, -1, group, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(name, stat.S_IMODE(info.st_mode) | mode, dir_fd=directory)
