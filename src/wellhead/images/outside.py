"""Programs of an image that also run outside of any container, by the image's own dynamic loader.

So the host's libraries don't matter, and nothing is installed whose package would start a daemon.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wellhead.images import packages, recipe
from wellhead.images.store import ImageStore

_LOADER = "/lib/outside-loader"
_LIBRARIES = "/usr/lib/outside"

# A program that executes its argv[0] again must come by here again. (ld.so(8): --argv0)
_START = """\
#!/bin/sh
# Runs this image's {program} without a container, with the image's libraries. Call it by its full path.
root=${{0%{launcher}}}
exec "$root{loader}" --argv0 "$0" --library-path "$root{libraries}" "$root{program}" "$@"
"""


def launcher(store: ImageStore, image: str, program: str) -> Path:
    """What runs the image's program on this host. Raises ImageNotFound."""
    return store.rootfs(store.find(image)) / _launcher(program).lstrip("/")


def launchers(programs: Sequence[str]) -> dict[str, str]:
    """The files that the image needs for it, by their paths."""
    return {
        _launcher(program): _START.format(
            program=program, launcher=_launcher(program), loader=_LOADER, libraries=_LIBRARIES
        )
        for program in programs
    }


def assemble(package_names: Sequence[str], programs: Sequence[str], work: Path, rootfs: Path) -> list[str]:
    """Fill `rootfs` with programs of Debian packages, their libraries and launchers.

    Returns the packages used, as name=version. Raises BuildError.
    """
    tree = work / "tree"
    archives = packages.download(packages.with_libraries(package_names), work / "archives")
    used = packages.extract(archives, tree)
    recipe.skeleton(rootfs)
    loader, *libraries = packages.libraries(tree, programs)
    packages.copy(tree, rootfs, [*programs, loader, *libraries])
    # The same for the launchers, by names that don't depend on the processor.
    (rootfs / _LOADER.lstrip("/")).symlink_to(f"..{loader}")
    directory = rootfs / _LIBRARIES.lstrip("/")
    directory.mkdir(parents=True)
    for library in libraries:
        (directory / Path(library).name).symlink_to(f"../../..{library}")
    files = launchers(programs)
    recipe.write(rootfs, files)
    for path in files:
        (rootfs / path.lstrip("/")).chmod(0o755)
    return used


def _launcher(program: str) -> str:
    return f"/usr/bin/{Path(program).name}-outside"
