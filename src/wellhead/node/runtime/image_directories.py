"""Directories that an image's configuration speaks of: made where they are missing, as other runtimes do.

A volume of an image is a directory of the container's own that can be written to even if its root file system
can't. Of a root file system that can, it is a part like any other.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from wellhead.linux import paths
from wellhead.node.runtime.oci import Container, Mount

_log = logging.getLogger(__name__)


def prepare(container: Container) -> Container:
    """Make the container's working directory and volumes in its root file system, which is mounted.

    Returns the container with the mounts that the volumes need. Blocks. A directory that can't be made (a
    file is there, a link leads nowhere) is left to the runtime to complain of.
    """
    mounted = {mount.target for mount in container.mounts}
    covered = (*mounted, "/proc", "/sys", "/dev")
    found = list(container.mounts)
    with paths.directory(container.bundle / "rootfs") as top:
        for path in (container.cwd, *container.volumes):
            if any(path == each or path.startswith(f"{each}/") for each in covered):
                continue
            place = _directory(top, path, container.first_id or None)
            if place is not None and container.read_only_rootfs and path in container.volumes:
                found.append(Mount(place, path, options=("nosuid",)))
    found.sort(key=lambda mount: mount.target.count("/"))
    return replace(container, mounts=tuple(found))


def _directory(top: int, path: str, owner: int | None) -> Path | None:
    """Where a directory of the root file system is on the node; it is made if need be."""
    inside = path.strip("/") or "."
    try:
        try:
            fd = paths.open_at(top, inside, os.O_PATH | os.O_DIRECTORY, paths.IN_ROOT | paths.NO_MAGICLINKS)
        except FileNotFoundError:
            fd = paths.open_directory(top, inside, owner=owner)
        try:
            return Path(os.readlink(paths.self_path(fd)))
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        _log.info("directory %s of an image: %s", path, error)
        return None
