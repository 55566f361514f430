"""The image `busybox`: busybox-static with all its applets, and a shell as the default command."""

from __future__ import annotations

from pathlib import Path

from wellhead.images import packages, recipe
from wellhead.images.store import Config


def _assemble(work: Path, rootfs: Path) -> list[str]:
    tree = work / "tree"
    used = packages.extract(packages.download(["busybox-static"], work / "archives"), tree)
    recipe.skeleton(rootfs)
    recipe.busybox(tree, rootfs)
    return used


RECIPE = recipe.Recipe(
    names=("docker.io/library/busybox:latest",),
    config=Config(cmd=("sh",), env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)),
    files={},
    assemble=_assemble,
)
