"""Debian packages for the images of components: fetched once, laid out in one tree, taken from by file."""

from __future__ import annotations

import glob
import posixpath
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wellhead.images import packages
from wellhead.images.packages import BuildError
from wellhead.linux.files import put_in_place

_URI = re.compile(r"^'[^']*' (\S+) \d+ (\S+:[0-9a-f]+)$", re.MULTILINE)
_MERGED = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True)
class Package:
    """One that is laid out in the tree. `control` is its paragraph of dpkg's database."""

    name: str
    version: str
    architecture: str
    source: str
    control: str


def fetch(names: Iterable[str], cache: Path) -> list[Path]:
    """The archives of today's versions, by way of `cache`, where a version is downloaded to once.

    Raises:
        BuildError: there is no such package, or no network.
    """
    wanted = sorted(set(names))
    listed = packages.run("apt-get", "download", "--print-uris", "-q", *wanted)
    files = [cache / name for name, _ in _URI.findall(listed)]
    if len(files) != len(wanted):
        raise BuildError(
            f"apt finds {len(files)} of the packages {', '.join(wanted)}; does `apt-get update` help?"
        )
    missing = [
        name
        for name in wanted
        if not any(file.name.startswith(f"{name}_") and file.exists() for file in files)
    ]
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        arriving = cache / ".arriving"
        shutil.rmtree(arriving, ignore_errors=True)
        for archive in packages.download(missing, arriving):
            put_in_place(archive, cache / archive.name)
        arriving.rmdir()
    return files


def lay_out(archives: Iterable[Path], tree: Path) -> dict[str, Package]:
    """Unpack archives into a tree of merged /usr: what there is, by name. Raises BuildError."""
    files = list(archives)
    packages.extract(files, tree)
    found = {}
    for archive in files:
        control = packages.run("dpkg-deb", "--field", str(archive))
        fields = dict(
            line.split(": ", 1) for line in control.splitlines() if re.match(r"[A-Z][\w-]*: ", line)
        )
        source = fields.get("Source", fields["Package"]).split(" ")[0]
        name = fields["Package"]
        found[name] = Package(name, fields["Version"], fields["Architecture"], source, control)
    return found


def owners(archives: Iterable[Path]) -> dict[str, str]:
    """Which package each file is of, by the file's canonical path. Raises BuildError."""
    owned = {}
    for archive in archives:
        name = archive.name.partition("_")[0]
        for line in packages.run("dpkg-deb", "--contents", str(archive)).splitlines():
            path = line.split(None, 5)[5].partition(" -> ")[0].partition(" link to ")[0]
            owned[canonical(path.removeprefix("./"))] = name
    return owned


def canonical(path: str) -> str:
    """A path, without its first slash, as it is where /bin, /lib, … are links into /usr."""
    plain = path.lstrip("/")
    return f"usr/{plain}" if plain.split("/", 1)[0] in _MERGED else plain


def matching(tree: Path, patterns: Iterable[str]) -> list[str]:
    """The paths in a tree that patterns stand for. Raises BuildError: one stands for nothing."""
    found: list[str] = []
    for pattern in patterns:
        names = sorted(glob.glob(pattern, root_dir=tree))
        if not names:
            raise BuildError(f"no package has {pattern}")
        found += names
    return found


def take(tree: Path, rootfs: Path, paths: Iterable[str]) -> None:
    """Copy files to the same paths; links stay links, and what they lead to is copied as well."""
    for path in paths:
        source, target = tree / path, rootfs / path
        if target.exists() or target.is_symlink():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
        if source.is_symlink():
            link = str(source.readlink())
            reached = (
                link.lstrip("/") if link.startswith("/") else posixpath.join(posixpath.dirname(path), link)
            )
            take(tree, rootfs, [canonical(posixpath.normpath(reached))])
