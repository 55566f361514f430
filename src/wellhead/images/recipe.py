"""What a recipe for a built-in image is, and the parts that every image has."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wellhead.images import packages
from wellhead.images.store import Config


@dataclass(frozen=True)
class Recipe:
    """How a built-in image is made.

    `assemble(work, rootfs)` fills `rootfs`, with `work` as an empty directory for downloads, and returns the
    packages that it used, as name=version. `files` are what the recipe itself writes: a change of them, or of
    the rest of this value, makes another `version`, and the image is built again.
    """

    names: tuple[str, ...]
    config: Config
    files: dict[str, str]
    assemble: Callable[[Path, Path], list[str]]
    revision: int = 1

    @property
    def version(self) -> str:
        """A digest of the instructions (not of the packages, which are only known after a download)."""
        text = msgspec.json.encode((self.names, self.config, self.files, self.revision), order="sorted")
        return hashlib.sha256(text).hexdigest()


_USERS = """\
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUPS = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"


def skeleton(rootfs: Path) -> None:
    """The directories and files that programs expect on any system."""
    for name in ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr/bin", "usr/sbin", "var/log"):
        (rootfs / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (rootfs / name).mkdir(parents=True, exist_ok=True)
        (rootfs / name).chmod(0o1777)
    (rootfs / "root").chmod(0o700)
    write(rootfs, {"/etc/passwd": _USERS, "/etc/group": _GROUPS, "/etc/nsswitch.conf": "hosts: files dns\n"})


def write(rootfs: Path, files: dict[str, str]) -> None:
    """Write text files at absolute paths of the image."""
    for path, text in files.items():
        target = rootfs / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o644)


def busybox(tree: Path, rootfs: Path) -> None:
    """Put the busybox-static of `tree` into `rootfs`, with a link for each of its applets in /bin."""
    source = next(path for path in (tree / "usr/bin/busybox", tree / "bin/busybox") if path.exists())
    target = rootfs / "bin/busybox"
    packages.run("install", "-D", "-m", "755", str(source), str(target))
    for applet in packages.run(str(target), "--list").split():
        link = rootfs / "bin" / applet
        if not link.exists():
            os.link(target, link)
