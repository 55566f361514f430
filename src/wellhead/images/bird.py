"""The image `wellhead.dev/bird`: BIRD from Debian's package, without the daemon that this starts.

Its root file system is also where `wellhead bgp` finds the program that it runs outside of any container.
"""

from __future__ import annotations

from pathlib import Path

from wellhead.images import outside, packages, recipe
from wellhead.images.store import Config, ImageStore

NAME = "wellhead.dev/bird:latest"

_BIRD, _CONTROL = "/usr/sbin/bird", "/usr/sbin/birdcl"
_CONFIGURATION = {"/etc/bird/bird.conf": "# Mount a configuration here.\nprotocol device {}\n"}


def launcher(store: ImageStore) -> Path:
    """The program that runs BIRD on this host. Raises ImageNotFound."""
    return outside.launcher(store, NAME, _BIRD)


def _assemble(work: Path, rootfs: Path) -> list[str]:
    used = outside.assemble(["bird2"], [_BIRD, _CONTROL], work, rootfs)
    recipe.write(rootfs, _CONFIGURATION)
    packages.run(str(rootfs / "usr/bin/bird-outside"), "--version")
    return used


RECIPE = recipe.Recipe(
    names=(NAME,),
    config=Config(cmd=(_BIRD, "-f"), env=("PATH=/usr/sbin:/usr/bin:/sbin:/bin",)),
    files=outside.launchers([_BIRD, _CONTROL]) | _CONFIGURATION,
    assemble=_assemble,
)
