"""Make the images of components: layers that all share, one of each one's own, and an archive of them.

Reproducible: of the same packages, wheels and wellhead come the same bytes. All times in an image are
SOURCE_DATE_EPOCH's, or zero.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import wellhead
from wellhead.images import packages, recipe
from wellhead.images.archive import architecture
from wellhead.images.components import debian, python
from wellhead.images.components.catalog import Component
from wellhead.images.layout import Layer, write_archive, write_layer
from wellhead.images.packages import BuildError
from wellhead.images.reference import normalize
from wellhead.linux.files import put_in_place, write_atomically

Report = Callable[[str, int, int], None]

_APPLETS = ("cat", "env", "grep", "head", "id", "kill", "ls", "ps", "sh", "sleep", "stat", "tail")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BASE = ("base-files", "busybox-static")
_OF_WHEELS = ("libgcc-s1", "libstdc++6")
"""What wheels may take for granted (PEP 600), beside the C library."""
_LICENCES = "usr/share/common-licenses"
_SBOM = "var/lib/db/sbom"


@dataclass(frozen=True)
class Made:
    """An archive that was written. Sizes are in bytes; `unpacked` is of all files of the image."""

    component: str
    name: str
    file: Path
    sbom: Path
    digest: str
    size: int
    unpacked: int
    debian: tuple[str, ...]
    wheels: tuple[str, ...]


def make(
    components: Sequence[Component],
    directory: Path,
    cache: Path,
    *,
    tag: str = wellhead.__version__,
    report: Report = lambda what, done, total: None,
) -> list[Made]:
    """Write an archive of each component's image into `directory`. Needs root.

    Packages are downloaded to `cache` once.

    Raises:
        BuildError: a package can't be had, or lacks something.
        OSError: the disk is full, or the like.
    """
    try:
        from wellhead.images.components import sbom  # noqa: F401
    except ModuleNotFoundError as error:
        raise BuildError(
            f"images of components need the extra “images” ({error.name} is missing): "
            "pip install 'wellhead[images]'"
        ) from None
    directory.mkdir(parents=True, exist_ok=True)
    steps = len(components) + 3
    with tempfile.TemporaryDirectory(prefix=".image-", dir=directory) as work:
        report("fetching packages", 0, steps)
        site = _Site(Path(work), components, cache)
        report("laying out Python", 1, steps)
        site.lay_out_python()
        report("compiling", 2, steps)
        site.lay_out_wellhead()
        made = []
        for number, each in enumerate(components, 3):
            report(each.repository, number, steps)
            made.append(site.write(each, directory, normalize(f"{each.repository}:{tag}")))
    return made


class _Site:
    """A directory where images are made: a tree of all packages, the root that all share, its layers."""

    def __init__(self, work: Path, components: Sequence[Component], cache: Path) -> None:
        self._work, self._tree, self._root = work, work / "tree", work / "root"
        self._python = python.version()
        self._time = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
        programs = {each.package for component in components for each in component.programs}
        wanted = packages.with_libraries([*python.debian_packages(self._python), *_OF_WHEELS, *programs])
        archives = debian.fetch([*wanted, *_BASE], cache / "debian")
        self._known = debian.lay_out(archives, self._tree)
        self._owners = debian.owners(archives)
        self._wheels = python.wheels(self._python, cache)
        self._layers: list[Layer] = []
        self._taken: set[str] = set()
        self._root.mkdir(mode=0o755)

    def lay_out_python(self) -> None:
        tree, root = self._tree, self._root
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        recipe.skeleton(root)
        files = python.standard_library(tree, self._python)
        extensions = [each for each in files if each.endswith(".so")]
        chosen = [*files, *self._libraries([f"usr/bin/python{self._python}", *extensions])]
        chosen += ["usr/lib/os-release", "etc/debian_version", *debian.matching(tree, [f"{_LICENCES}/*"])]
        debian.take(tree, root, chosen)
        (root / "etc/os-release").symlink_to("../usr/lib/os-release")
        (root / "usr/bin/python3").symlink_to(f"python{self._python}")
        busybox = debian.matching(tree, ["usr/bin/busybox"])[0]
        debian.take(tree, root, [busybox])
        for applet in _APPLETS:
            (root / "usr/bin" / applet).symlink_to("busybox")
        python.compile_all(root, self._python, f"usr/lib/python{self._python}", sources=False)
        self._taken = self._document(root, root)
        self._add_layer(set())

    def lay_out_wellhead(self) -> None:
        before = _paths(self._root)
        extensions = python.unpack(self._wheels, self._tree / python.SITE)
        debian.take(self._tree, self._root, self._libraries(f"{python.SITE}/{each}" for each in extensions))
        shutil.copytree(self._tree / python.SITE, self._root / python.SITE, dirs_exist_ok=True)
        python.compile_all(self._root, self._python, python.SITE, sources=False)
        self._taken |= self._document(self._root, self._root)
        self._add_layer(before)
        before = _paths(self._root)
        python.put_ours(self._root)
        python.compile_all(self._root, self._python, f"{python.SITE}/wellhead")
        python.check(self._root, self._python)
        self._add_layer(before)

    def write(self, component: Component, directory: Path, name: str) -> Made:
        extra = self._work / component.name
        extra.mkdir()
        programs = debian.matching(self._tree, [path for each in component.programs for path in each.files])
        runnable = [
            path for path in programs if os.access(self._tree / path, os.X_OK) or path.endswith(".so")
        ]
        libraries = self._libraries(runnable)
        wanted = [path for path in (*programs, *libraries) if not (self._root / path).exists()]
        debian.take(self._tree, extra, wanted)
        for each in component.programs:
            for link, leads_to in each.links:
                (extra / link).symlink_to(leads_to)
        names = self._taken | self._document(extra, self._root)
        materials = self._materials(component, names)
        recipe.write(extra, {f"/{_SBOM}/{component.repository}.cdx.json": materials.decode()})
        layer = write_layer(
            extra,
            self._work / f"{component.name}.layer",
            time=self._time,
            wanted=lambda path: not (self._root / path).is_dir(),
        )
        layers = [*self._layers, layer]
        unpacked = sum(each.unpacked for each in layers)
        target = directory / f"{component.repository}.tar"
        arriving = self._work / f"{component.name}.tar"
        with arriving.open("wb") as file:
            digest = write_archive(file, [name], self._configuration(component), layers)
        beside = directory / f"{component.repository}.cdx.json"
        write_atomically(beside, materials, 0o644)
        put_in_place(arriving, target)
        return Made(
            component.name,
            name,
            target,
            beside,
            digest,
            target.stat().st_size,
            unpacked,
            tuple(f"{each}={self._known[each].version}" for each in sorted(names)),
            tuple("==".join(each.name.split("-")[:2]) for each in self._wheels),
        )

    def _materials(self, component: Component, names: set[str]) -> bytes:
        """The bill of materials of a component's image with these of Debian's packages."""
        from wellhead.images.components import sbom

        release = _release(self._root)
        parts = [sbom.of_wheel(each) for each in self._wheels]
        for name in names:
            text = (self._tree / f"usr/share/doc/{name}/copyright").resolve().read_text(errors="replace")
            parts.append(sbom.of_debian(self._known[name], text, release))
        parts.append(sbom.of_python("wellhead", wellhead.__version__, ("Apache-2.0",)))
        return sbom.write(component.repository, wellhead.__version__, parts, self._time)

    def _configuration(self, component: Component) -> dict[str, Any]:
        created = datetime.fromtimestamp(self._time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        labels = {
            "org.opencontainers.image.title": component.repository,
            "org.opencontainers.image.description": component.summary,
            "org.opencontainers.image.version": wellhead.__version__,
            "org.opencontainers.image.licenses": "Apache-2.0",
        }
        config: dict[str, Any] = {"User": component.user, "Env": [_PATH], "WorkingDir": "/", "Labels": labels}
        config |= {"Entrypoint": list(component.entrypoint)} if component.entrypoint else {}
        config |= {"Cmd": list(component.cmd)}
        return {"architecture": architecture(), "os": "linux", "created": created, "config": config}

    def _libraries(self, files: Iterable[str]) -> list[str]:
        needed = packages.libraries(self._tree, [f"/{each}" for each in files])
        return [debian.canonical(os.path.normpath(each)) for each in needed]

    def _document(self, rootfs: Path, below: Path) -> set[str]:
        """Put beside Debian's files what they are: copyrights, and paragraphs that scanners read.

        What is documented in the image `below` already isn't again. Returns the packages' names.
        """
        found = {self._owners[path] for path in _paths(rootfs) if path in self._owners}
        new = {each for each in found if not (below / f"var/lib/dpkg/status.d/{each}").exists()}
        for name in sorted(new):
            target = f"usr/share/doc/{name}/copyright"
            text = (self._tree / target).resolve().read_bytes()
            recipe.write(rootfs, {f"/var/lib/dpkg/status.d/{name}": self._known[name].control})
            (rootfs / target).parent.mkdir(parents=True, exist_ok=True)
            (rootfs / target).write_bytes(text)
            (rootfs / target).chmod(0o644)
        return found

    def _add_layer(self, before: set[str]) -> None:
        number = len(self._layers)
        path = self._work / f"{number}.layer"
        self._layers.append(
            write_layer(self._root, path, time=self._time, wanted=lambda path: path not in before)
        )


def _release(rootfs: Path) -> dict[str, str]:
    """What an image's os-release says."""
    lines = (rootfs / "usr/lib/os-release").read_text().splitlines()
    return {name: value.strip('"') for name, found, value in (each.partition("=") for each in lines) if found}


def _paths(rootfs: Path) -> set[str]:
    """All of a tree, relative to it."""
    found = {"."}
    for directory, names, files in os.walk(rootfs):
        inside = os.path.relpath(directory, rootfs)
        found |= {os.path.normpath(os.path.join(inside, name)) for name in (*names, *files)}
    return found
