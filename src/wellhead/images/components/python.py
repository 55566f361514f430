"""What runs wellhead in an image: Debian's Python, the wheels of `requirements.lock`, wellhead itself."""

from __future__ import annotations

import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import wellhead
from wellhead.images import packages
from wellhead.images.components.debian import matching
from wellhead.images.packages import BuildError
from wellhead.linux.files import put_in_place

LOCK = Path(__file__).with_name("requirements.lock")
SITE = "usr/lib/python3/dist-packages"

_LAUNCHER = """\
#!/usr/bin/python3 -I
from wellhead.cli.main import main

main()
"""
_METADATA = """\
Metadata-Version: 2.4
Name: wellhead
Version: {version}
License-Expression: Apache-2.0
License-File: LICENSE
"""
_UNUSED = (
    "curses", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter",
    "turtledemo", "unittest/test", "venv", "xml", "xmlrpc",
)  # fmt: skip
_SOURCES = (".c", ".h", ".pxd", ".pyi", ".pyx")
_TWICE = "aiohttp/_websocket/reader_c."
"""2 MB, for reading WebSockets faster than aiohttp does without: little is said by them here."""
_ELSEWHERE = (
    "apiserver",
    "clusters",
    "controllers",
    "images/components",
    "lab",
    "matrix",
    "node",
    "puller",
    "scheduler",
    "storage",
    "tutorial",
)
"""Parts of wellhead that are no component of another's cluster."""
_UNUSED_MODULES = (
    "_codecs_*",
    "_crypt*",
    "_curses*",
    "_dbm*",
    "_test*",
    "_xx*",
    "audioop*",
    "nis*",
    "ossaudiodev*",
    "readline*",
    "spwd*",
    "xxlimited*",
)
_PLATFORMS = ("manylinux_2_36", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")


def version() -> str:
    """Debian's Python here, as 3.11. Raises BuildError."""
    depends = packages.run("apt-cache", "depends", "--important", "python3-minimal")
    found = re.search(r"python(3\.\d+)-minimal", depends)
    if found is None:
        raise BuildError("apt knows no python3-minimal; does `apt-get update` help?")
    return found[1]


def debian_packages(python: str) -> list[str]:
    """The Debian packages that hold Python and its standard library."""
    return [f"python{python}-minimal", f"libpython{python}-minimal", f"libpython{python}-stdlib"]


def standard_library(tree: Path, python: str) -> list[str]:
    """The files of it that an image gets, and the program."""
    base = tree / f"usr/lib/python{python}"
    unused = [base / each for each in _UNUSED]
    modules = {file for each in _UNUSED_MODULES for file in (base / "lib-dynload").glob(each)}
    files = [f"usr/bin/python{python}"]
    for file in sorted(base.rglob("*")):
        if file.is_dir() or file in modules or any(each in file.parents for each in unused):
            continue
        files.append(str(file.relative_to(tree)))
    return [*files, *(path for path in matching(tree, ["etc/python3*/sitecustomize.py"]))]


def wheels(python: str, cache: Path) -> list[Path]:
    """The locked wheels for that Python, by way of `cache`. Raises BuildError."""
    machine = os.uname().machine
    tag = f"cp{python.replace('.', '')}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--python-version",
        python,
        "--implementation",
        "cp",
    ]
    command += [word for abi in (tag, "abi3", "none") for word in ("--abi", abi)]
    command += [word for each in _PLATFORMS for word in ("--platform", f"{each}_{machine}")]
    command += ["--platform", "any", "--requirement", str(LOCK)]
    target = cache / "-".join(("wheels", tag, machine, packages.digest(LOCK.read_bytes())[:16]))
    if not target.is_dir():
        arriving = cache / f".{target.name}.{os.getpid()}"
        shutil.rmtree(arriving, ignore_errors=True)
        try:
            packages.run(*command, "--dest", str(arriving))
            put_in_place(arriving, target)
        except OSError:
            if not target.is_dir():  # somebody else's, meanwhile
                raise
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    return sorted(target.glob("*.whl"))


def unpack(files: Iterable[Path], site: Path) -> list[str]:
    """Lay out wheels; the paths of their extension modules, in `site`. Raises BuildError."""
    extensions = []
    for wheel in files:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                first = member.filename.split("/", 1)[0]
                if first.endswith(".data"):
                    raise BuildError(f"{wheel.name} has files for elsewhere: {member.filename}")
                if (
                    member.is_dir()
                    or "/tests/" in member.filename
                    or member.filename.endswith((".c", ".pyx"))
                    or member.filename.startswith(_TWICE)
                ):
                    continue
                archive.extract(member, site)
                (site / member.filename).chmod(0o644)
                if re.search(r"\.so(\.\d+)*$", member.filename):
                    extensions.append(member.filename)
    return extensions


def put_ours(rootfs: Path) -> None:
    """Put the wellhead that runs here into an image: its package, a launcher, its licence."""
    source, target = Path(wellhead.__file__).parent, rootfs / SITE / "wellhead"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for each in _ELSEWHERE:
        shutil.rmtree(target / each)
    about = rootfs / SITE / f"wellhead-{wellhead.__version__}.dist-info"
    (about / "licenses").mkdir(parents=True)
    (about / "METADATA").write_text(_METADATA.format(version=wellhead.__version__))
    (about / "licenses/LICENSE").write_text(licence())
    launcher = rootfs / "usr/bin/wellhead"
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)


def check(rootfs: Path, python: str) -> None:
    """Whether all commands of components can be loaded in an image. Raises BuildError."""
    commands = ("proxy", "cloud", "bgp", "policy", "trace_node", "explain", "snapshot")
    text = "from wellhead.snapshot import sources; " + "; ".join(
        f"import wellhead.cli.{each}" for each in commands
    )
    packages.run("chroot", str(rootfs), f"/usr/bin/python{python}", "-I", "-c", text)


def licence() -> str:
    """The text of wellhead's own. Raises BuildError."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution("wellhead").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    if text is None:
        raise BuildError(
            "this wellhead was installed without its licence: install its wheel, or `make setup`"
        )
    return text


def compile_all(rootfs: Path, python: str, directory: str, *, sources: bool = True) -> None:
    """Compile by the image's own Python, equal bytes each time; what is compiled never looks at times.

    Without `sources` only what is compiled stays. Raises BuildError.
    """
    command = ["env", "-i", f"PATH={os.defpath}:/usr/sbin:/sbin", "PYTHONHASHSEED=0", "chroot", str(rootfs)]
    command += [f"/usr/bin/python{python}", "-I", "-m", "compileall", "-q"]
    command += ["--invalidation-mode", "unchecked-hash", f"/{directory}"]
    packages.run(*command, *([] if sources else ["-b"]))
    if not sources:
        for file in (rootfs / directory).rglob("*.py"):
            file.unlink()
