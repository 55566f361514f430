"""Whether this machine can run a cluster; if not, what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from wellhead.images.build import missing
from wellhead.images.store import ImageStore
from wellhead.lab.cluster import IMAGE_CACHE, LabError
from wellhead.lab.machines import SYSTEM_PATH
from wellhead.lab.processes import MACHINE

# Command: the Debian package that has it.
PROGRAMS = {
    "catatonit": "catatonit",
    "conmon": "conmon",
    "conntrack": "conntrack",
    "crun": "crun",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "nft": "nftables",
}
_NAMESPACES = ("net", "mnt", "pid", "uts")


def check_host() -> None:
    """Make sure that this is a place from which clusters can be seen: Linux, root, outside of any machine.

    Raises:
        LabError: it isn't; says what to do.
    """
    if sys.platform != "linux":
        raise LabError("wellhead makes Linux network namespaces: it runs on Linux only")
    if machine := os.environ.get(MACHINE):
        raise LabError(f"this is a shell on {machine}, inside a cluster: leave it first")
    if os.geteuid() != 0:
        raise LabError("wellhead makes network namespaces: run it as root (sudo wellhead …)")


def check_all(image_directory: Path = IMAGE_CACHE) -> None:
    """Make sure that a cluster can be started.

    Raises:
        LabError: it can't; says everything that is missing, and what to do.
    """
    check_host()
    checks: tuple[Callable[[], str | None], ...] = (_programs, _kernel, lambda: _images(image_directory))
    if problems := [problem for check in checks if (problem := check()) is not None]:
        raise LabError("\n".join(problems))


def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6: it was built with it, and not started with ipv6.disable=1."""
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _programs() -> str | None:
    lacking = [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]
    if not lacking:
        return None
    packages = " ".join(sorted({PROGRAMS[name] for name in lacking}))
    return f"not installed: {', '.join(lacking)}; run `make setup`, or `apt-get install {packages}`"


def _kernel() -> str | None:
    lacking = [kind for kind in _NAMESPACES if not Path(f"/proc/self/ns/{kind}").exists()]
    if lacking:
        return f"this kernel has no {', '.join(lacking)} namespaces: use one that containers can run on"
    return None


def _images(directory: Path) -> str | None:
    if lacking := missing(ImageStore(directory)):
        names = ", ".join(recipe.names[0] for recipe in lacking)
        return f"images not built yet: {names}; run `wellhead image build`"
    return None
