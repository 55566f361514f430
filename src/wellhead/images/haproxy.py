"""The image `wellhead.dev/haproxy`: HAProxy from Debian's package, without the daemon that this starts.

A container of it works as of any image; but its root file system is also where `wellhead cloud` finds the
program that it runs outside of any container.
"""

from __future__ import annotations

from pathlib import Path

from wellhead.images import outside, packages, recipe
from wellhead.images.store import Config, ImageStore

NAME = "wellhead.dev/haproxy:latest"

_HAPROXY = "/usr/sbin/haproxy"
_CONFIGURATION = {"/etc/haproxy/haproxy.cfg": "# Mount a configuration here.\n"}


def launcher(store: ImageStore) -> Path:
    """The program that runs HAProxy on this host. Raises ImageNotFound."""
    return outside.launcher(store, NAME, _HAPROXY)


def _assemble(work: Path, rootfs: Path) -> list[str]:
    used = outside.assemble(["haproxy"], [_HAPROXY], work, rootfs)
    recipe.write(rootfs, _CONFIGURATION)
    packages.run(str(rootfs / "usr/bin/haproxy-outside"), "-v")
    return used


RECIPE = recipe.Recipe(
    names=(NAME,),
    config=Config(
        cmd=(_HAPROXY, "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
        stop_signal="SIGUSR1",
    ),
    files=outside.launchers([_HAPROXY]) | _CONFIGURATION,
    assemble=_assemble,
)
