"""Replace the files in a directory all at once.

The layout is the kubelet's (pkg/volume/util/atomic_writer.go), which programs in pods know: real files in a
directory named after the time, `..data` a link to that, and a link through `..data` for each file. Moving the
one link `..data` changes everything in one step.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from wellhead.api.formats import local_path
from wellhead.linux import paths, trees

_DATA = "..data"


class BadPath(ValueError):
    """A file that would not be in the volume, or can't be there; the message says which and why."""


@dataclass(frozen=True)
class File:
    """A file's bytes, permission bits, and owner (None: root)."""

    data: bytes
    mode: int
    user: int | None = None


def write(directory: Path, files: Mapping[str, File], group: int | None = None) -> bool:
    """Make `directory` hold exactly these files (by relative path). Returns whether anything changed.

    `group` becomes the owning group, who may then read what the owner may.

    Raises:
        BadPath: nothing was written.
        OSError: what was there before still is.
    """
    wanted = {_checked(path): file for path, file in files.items()}
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / _DATA
    before = Path(os.path.realpath(link)) if link.is_symlink() else None
    if before is not None and _content(before) == {path: file.data for path, file in wanted.items()}:
        return False
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    payload = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    try:
        payload.chmod(0o755)
        with paths.directory(payload) as top:
            for path, file in wanted.items():
                _write(top, path, file, group)
    except OSError:
        trees.remove(payload)
        raise
    temporary = directory / "..data_tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(payload.name)
    temporary.rename(link)
    _link_names(directory, {path.partition("/")[0] for path in wanted})
    for old in directory.glob("..2*"):  # the files before, and what an interrupted change left
        if old != payload:
            trees.remove(old)
    return True


def _checked(path: str) -> str:
    """The path in its plainest form. The API has refused bad ones; whoever it is, we don't rely on it."""
    problems = local_path(path) if path else ["must not be empty"]
    if problems:
        raise BadPath(f"{path!r} can't be a file of a volume: {problems[0]}")
    return str(PurePosixPath(path))


def _write(top: int, path: str, file: File, group: int | None) -> None:
    with open(paths.create_file(top, path), "wb") as target:
        target.write(file.data)
        os.fchmod(target.fileno(), file.mode if group is None else file.mode | (file.mode & 0o400) >> 3)
        os.fchown(target.fileno(), _kept(file.user), _kept(group))


def _kept(id: int | None) -> int:
    return -1 if id is None else id  # fchown(2): as it is


def _link_names(directory: Path, names: set[str]) -> None:
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for path in directory.iterdir():
        if path.name not in names and not path.name.startswith(".."):
            path.unlink()


def _content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
