"""What a container sees of the node's files: volumes and their parts, files of /etc, its termination log."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from wellhead.api.formats import descending_path, file_path
from wellhead.api.kinds.pod.mounts import BIND_MOUNT_OPTIONS
from wellhead.api.meta import Obj
from wellhead.linux import id_mapped, trees
from wellhead.node.pods import environment
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.oci import Mount
from wellhead.node.volumes import claims, parts

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
_FILES = ("configMap", "secret", "projected", "downwardAPI")


class MountError(Exception):
    """A volume or a part of one can't be shown; the message says which and why."""


def mounts(state: PodState, container: Obj, variables: Mapping[str, str], number: int) -> tuple[Mount, ...]:
    """The mounts of the container's next run, outer ones first. Blocks.

    Parts of volumes are mounted below the run's bundle, with which they go.

    Raises:
        MountError: something of it can't be.
    """
    volumes = {volume["name"]: volume for volume in state.pod["spec"].get("volumes") or ()}
    pinned = state.bundle(container["name"], number) / "parts"
    if pinned.exists():  # from an attempt that came to nothing
        _forget(pinned)
    found: list[Mount] = []
    for index, each in enumerate(container.get("volumeMounts") or ()):
        volume = volumes.get(each["name"])
        if volume is None:
            raise MountError(f"volume {each['name']!r} of container {container['name']!r} is not in the pod")
        source = state.volumes.path(volume)
        if part := _part(each, container, variables):
            place = pinned / str(index)
            _pin(source, part, place, each, container)
            source = place
        propagation = _PROPAGATION.get(each.get("mountPropagation") or "", "rprivate")
        read_only = bool(each.get("readOnly")) or any(kind in volume for kind in _FILES)
        read_only = read_only or claims.is_read_only(volume)
        found.append(
            Mount(
                source,
                _target(each["mountPath"]),
                read_only=read_only,
                recursively=(each.get("recursiveReadOnly") or "Disabled") != "Disabled",
                propagation=propagation,
                options=(*_options(each), *(("noexec", "nosuid") if "image" in volume else ())),
            )
        )
    taken = {mount.target for mount in found}
    own = [
        Mount(state.sandbox.files / "hosts", "/etc/hosts"),
        Mount(state.sandbox.files / "hostname", "/etc/hostname"),
        Mount(state.sandbox.files / "resolv.conf", "/etc/resolv.conf"),
        Mount(_shm(state), "/dev/shm", options=("nosuid", "noexec", "nodev")),  # noqa: S108 the pod's
        _termination_log(state, container, number),
    ]
    everything = (*(mount for mount in own if mount.target not in taken), *found)
    if (users := state.sandbox.namespaces(state.pod).get("user")) is not None:
        everything = tuple(
            _as_theirs(each, pinned / f"of-users-{n}", users) for n, each in enumerate(everything)
        )
    return tuple(sorted(everything, key=_depth))


def _as_theirs(mount: Mount, place: Path, users: Path) -> Mount:
    """The mount with its files as the pod's users own them."""
    if mount.target == "/dev/shm":  # noqa: S108 the pod's: whoever makes a file there owns it
        return mount
    try:
        id_mapped.make_place(mount.source, place)
        id_mapped.mount(mount.source, place, users)
    except OSError as error:
        why = error.strerror or str(error)
        raise MountError(f"failed to map the users of what is mounted at {mount.target}: {why}") from None
    return replace(mount, source=place)


def _shm(state: PodState) -> Path:
    """Shared memory is a part of what is between processes: the node's, with the node's IPC namespace."""
    return Path("/dev/shm") if state.pod["spec"].get("hostIPC") else state.sandbox.shm  # noqa: S108


def _options(mount: Obj) -> tuple[str, ...]:
    # No others: one like `dev` would take back what keeps containers from the host's devices.
    options = tuple(mount.get("bindMountOptions") or ())
    if unknown := set(options) - BIND_MOUNT_OPTIONS:
        raise MountError(f"bindMountOptions {', '.join(sorted(unknown))} are not supported")
    return options


def _forget(pinned: Path) -> None:
    try:
        trees.remove(pinned)
    except OSError as error:
        raise MountError(f"failed to remove what an earlier attempt mounted: {error}") from None


def _part(mount: Obj, container: Obj, variables: Mapping[str, str]) -> str:
    """Which part of its volume a mount shows; "" for all of it."""
    expression = mount.get("subPathExpr") or ""
    if mount.get("subPath") or not expression:
        return str(mount.get("subPath") or "")
    if unknown := environment.missing(expression, variables):
        raise MountError(f"missing value for {', '.join(map(repr, unknown))} in subPathExpr {expression!r}")
    return environment.expand(expression, variables)


def _pin(source: Path, part: str, place: Path, mount: Obj, container: Obj) -> None:
    # A variable's value may hold anything, and whatever the API has refused is refused again.
    problem = next(iter(descending_path(part)), "")
    if not problem:
        try:
            parts.pin(source, part, place)
        except OSError as error:
            problem = error.strerror or str(error)
    if problem:
        raise MountError(
            f'failed to prepare subPath for volumeMount "{mount["name"]}" of container '
            f'"{container["name"]}": {part!r}: {problem}'
        )


def _target(path: str) -> str:
    if problems := file_path(path):
        raise MountError(f"mountPath {path!r}: {problems[0]}")
    return os.path.normpath("/" + path.lstrip("/"))


def _depth(mount: Mount) -> int:
    return mount.target.count("/")


def _termination_log(state: PodState, container: Obj, number: int) -> Mount:
    path = state.termination_log(container["name"], number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH)
    return Mount(path, _target(container.get("terminationMessagePath") or "/dev/termination-log"))
