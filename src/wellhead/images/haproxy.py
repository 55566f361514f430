"""The image `wellhead.dev/haproxy`: HAProxy from Debian's package, without the daemon that this starts.

A container of it works as of any image; but its root file system is also where `wellhead cloud` finds the
program that it runs outside of any container. For that there is the launcher: it runs HAProxy by the image's
own dynamic loader, so that the host's libraries don't matter.
"""

from __future__ import annotations

from pathlib import Path

from wellhead.images import packages, recipe
from wellhead.images.store import Config, ImageStore

NAME = "wellhead.dev/haproxy:latest"

_HAPROXY = "/usr/sbin/haproxy"
_LAUNCHER = "/usr/bin/haproxy-outside"
_LOADER = "/lib/haproxy-loader"
_LIBRARIES = "/usr/lib/haproxy"

# A reload is an exec of argv[0] by HAProxy's master: it must come by here again. (ld.so(8): --argv0)
_START = f"""\
#!/bin/sh
# Runs this image's HAProxy without a container, with the image's libraries. Call it by its full path.
root=${{0%{_LAUNCHER}}}
exec "$root{_LOADER}" --argv0 "$0" --library-path "$root{_LIBRARIES}" "$root{_HAPROXY}" "$@"
"""

_FILES = {_LAUNCHER: _START, "/etc/haproxy/haproxy.cfg": "# Mount a configuration here.\n"}


def launcher(store: ImageStore) -> Path:
    """The program that runs HAProxy on this host. Raises ImageNotFound."""
    return store.rootfs(store.find(NAME)) / _LAUNCHER.lstrip("/")


def _assemble(work: Path, rootfs: Path) -> list[str]:
    tree = work / "tree"
    archives = packages.download(packages.with_libraries(["haproxy"]), work / "archives")
    used = packages.extract(archives, tree)
    recipe.skeleton(rootfs)
    loader, *libraries = packages.libraries(tree, [_HAPROXY])
    packages.copy(tree, rootfs, [_HAPROXY, loader, *libraries])
    # The same for the launcher, by names that don't depend on the processor.
    (rootfs / _LOADER.lstrip("/")).symlink_to(f"..{loader}")
    directory = rootfs / _LIBRARIES.lstrip("/")
    directory.mkdir(parents=True)
    for library in libraries:
        (directory / Path(library).name).symlink_to(f"../../..{library}")
    recipe.write(rootfs, _FILES)
    start = rootfs / _LAUNCHER.lstrip("/")
    start.chmod(0o755)
    packages.run(str(start), "-v")
    return used


RECIPE = recipe.Recipe(
    names=(NAME,),
    config=Config(
        cmd=(_HAPROXY, "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"),
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
        stop_signal="SIGUSR1",
    ),
    files=_FILES,
    assemble=_assemble,
)
