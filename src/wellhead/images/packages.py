"""Files from Debian packages without installing them: download, extract, find the libraries of a program."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path


class BuildError(Exception):
    """An image could not be built; the message says which step failed and what to do."""


def run(*command: str, cwd: Path | None = None) -> str:
    """A command's standard output. Raises BuildError with its standard error if it fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is not installed (images are built from Debian packages)") from None
    if done.returncode:
        why = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BuildError(f"{' '.join(command[:4])} …: {why[-1] if why else f'exit code {done.returncode}'}")
    return done.stdout


def digest(content: bytes) -> str:
    """What tells contents apart, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def with_libraries(packages: Iterable[str]) -> list[str]:
    """The packages and, of all that they depend on, those that hold libraries (Debian's section `libs`).

    So nginx brings OpenSSL and the C library, not iproute2 or debconf.

    Raises:
        BuildError: apt does not know a package.
    """
    chosen: dict[str, None] = dict.fromkeys(packages)
    waiting = list(chosen)
    while waiting:
        depended = run("apt-cache", "depends", "--important", *waiting)
        candidates = {
            line.partition("Depends:")[2].strip() for line in depended.splitlines() if "Depends:" in line
        }
        new = sorted(name for name in candidates - chosen.keys() if name and not name.startswith("<"))
        waiting = _in_section("libs", new) if new else []
        chosen.update(dict.fromkeys(waiting))
    return list(chosen)


def _in_section(section: str, names: list[str]) -> list[str]:
    found = []
    for stanza in run("apt-cache", "show", "--no-all-versions", *names).split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.splitlines() if re.match(r"(Package|Section): ", line)
        )
        if fields.get("Section", "").rpartition("/")[2] == section:
            found.append(fields["Package"])
    return found


def download(packages: Iterable[str], directory: Path) -> list[Path]:
    """Download the packages' archives into `directory`.

    Raises:
        BuildError: no network, or apt's lists are older than the archive (then `apt-get update` helps).
    """
    directory.mkdir()
    names = list(packages)
    try:
        # apt would drop privileges for the download and then complain that it can't write here.
        run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names, cwd=directory)
    except BuildError as error:
        raise BuildError(f"{error}. Is there a network? Does `apt-get update` help?") from None
    return sorted(directory.glob("*.deb"))


def extract(archives: Iterable[Path], tree: Path) -> list[str]:
    """Unpack the archives into `tree`, laid out as a merged-/usr system. Returns name=version of each."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    versions = []
    for archive in archives:
        # By way of tar: dpkg-deb -x would replace the links /bin, /lib, … by directories.
        run("sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2" -f -', "sh",
            str(archive), str(tree))  # fmt: skip
        versions.append(
            run("dpkg-deb", "--show", "--showformat", "${Package}=${Version}", str(archive)).strip()
        )
    return versions


def libraries(tree: Path, files: Iterable[str]) -> list[str]:
    """The paths in `tree` of all shared libraries that these programs and modules in it need.

    Raises:
        BuildError: one is not in the tree.
    """
    loader = _loader(tree)
    found: dict[str, None] = {loader: None}
    for file in files:
        listing = run("chroot", str(tree), loader, "--list", file)
        for line in listing.splitlines():
            name, arrow, target = line.strip().partition(" => ")
            path = (target if arrow else name).split(" (")[0].strip()
            if path == "not found":
                raise BuildError(f"{file} needs {name}, which no package that it depends on has")
            if path.startswith("/"):
                found[path] = None
    return list(found)


def _loader(tree: Path) -> str:
    for directory in ("lib64", "lib"):
        for path in sorted((tree / directory).glob("ld-linux*.so.*")):
            return f"/{directory}/{path.name}"
    raise BuildError("libc6 has no dynamic loader where one is expected")


def copy(tree: Path, rootfs: Path, paths: Iterable[str]) -> None:
    """Copy files (links followed) from `tree` to the same paths in `rootfs`."""
    for path in paths:
        source = Path(os.path.realpath(_inside(tree, path)))
        target = rootfs / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _inside(tree: Path, path: str) -> Path:
    """`path` in `tree`, with links resolved as if `tree` were the root."""
    here = tree / path.lstrip("/")
    for _ in range(40):
        if not here.is_symlink():
            return here
        link = here.readlink()
        here = tree / str(link).lstrip("/") if link.is_absolute() else here.parent / link
    raise BuildError(f"{path}: too many links")
