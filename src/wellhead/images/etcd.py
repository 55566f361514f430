"""The image `wellhead.dev/etcd`: etcd and etcdctl from Debian's packages, without the daemon.

The programs also run outside of any container, as members of a cluster's control plane.
"""

from __future__ import annotations

from pathlib import Path

from wellhead.images import outside, packages, recipe
from wellhead.images.store import Config, ImageStore

NAME = "wellhead.dev/etcd:latest"

_ETCD, _ETCDCTL = "/usr/bin/etcd", "/usr/bin/etcdctl"


def launcher(store: ImageStore) -> Path:
    """The program that runs etcd on this host. Raises ImageNotFound."""
    return outside.launcher(store, NAME, _ETCD)


def _assemble(work: Path, rootfs: Path) -> list[str]:
    used = outside.assemble(["etcd-server", "etcd-client"], [_ETCD, _ETCDCTL], work, rootfs)
    packages.run(str(rootfs / "usr/bin/etcd-outside"), "--version")
    return used


RECIPE = recipe.Recipe(
    names=(NAME,),
    config=Config(cmd=(_ETCD,), env=("PATH=/usr/bin:/bin",)),
    files=outside.launchers([_ETCD, _ETCDCTL]),
    assemble=_assemble,
)
