"""Changing the store: one process at a time, each image whole or not there at all.

An image is made in a directory whose name begins with a dot, and gets its own name when all of it is on the
disk. Removed ones get such a name back first. So whoever is killed, at whatever line, leaves an image or
something that the next one who changes the store sweeps away.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from wellhead.images.store import MANIFEST, NEWS, Image, ImageStore
from wellhead.linux import files, mounts, proc, trees

_MAKING = ".building-"
_REMOVED = ".removed-"
_PULLING = ".pulling-"
_PULLS_LOCK = ".pulls"
_OWNED = ".owned"


@contextmanager
def changing(store: ImageStore) -> Iterator[None]:
    """Be the only one who changes the store meanwhile, and clear away what others left. Raises OSError."""
    store.directory.mkdir(parents=True, exist_ok=True)
    with (store.directory / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for leftover in store.directory.glob(f"{_MAKING}*"):
            trees.delete(leftover)
        with _downloads(store):
            pass
        _delete_removed(store)
        yield


@contextmanager
def workshop(store: ImageStore) -> Iterator[Path]:
    """A directory of root's alone to make an image in; with all that is in it, gone at the end."""
    directory = Path(tempfile.mkdtemp(prefix=_MAKING, dir=store.directory.resolve()))
    try:
        yield directory
    finally:
        trees.delete(directory)


@contextmanager
def downloading(store: ImageStore) -> Iterator[Path]:
    """As `workshop`, for what takes long: others may change the store meanwhile."""
    with _downloads(store):
        directory = Path(tempfile.mkdtemp(prefix=_PULLING, dir=store.directory.resolve()))
        owned = (directory / _OWNED).open("w")
        fcntl.flock(owned, fcntl.LOCK_EX)
    try:
        yield directory
    finally:
        trees.delete(directory)
        owned.close()


@contextmanager
def _downloads(store: ImageStore) -> Iterator[None]:
    """While nobody begins to download: without the directories of those who were killed."""
    store.directory.mkdir(parents=True, exist_ok=True)
    with (store.directory / _PULLS_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for directory in store.directory.glob(f"{_PULLING}*"):
            try:
                with (directory / _OWNED).open("r") as owned:
                    fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # somebody is at it
            except FileNotFoundError:
                pass  # just begun, or almost gone
            trees.delete(directory)
        yield


def now() -> str:
    """The time, for `Image.created`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def size_of(rootfs: Path) -> int:
    """Bytes on the disk of a tree, each file counted once."""
    inodes = {}
    for directory, names, others in os.walk(rootfs):
        for name in (*names, *others):
            info = os.lstat(os.path.join(directory, name))
            inodes[info.st_ino] = info.st_blocks * 512
    return sum(inodes.values())


def place(store: ImageStore, made: Path, image: Image) -> None:
    """Put an image that was made in the directory `made` (its rootfs is there) into the store.

    If it is there already, that one gets the new manifest. Raises OSError.
    """
    final = store.rootfs(image).parent
    if final.exists():
        write_manifest(store, image)
    else:
        (made / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(image)))
        files.put_in_place(made, final)
    tell(store)


def write_manifest(store: ImageStore, image: Image) -> None:
    """Replace what is said of an image that is in the store. Raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(image))
    files.write_atomically(store.rootfs(image).parent / MANIFEST, content, 0o644)


def tell(store: ImageStore) -> None:
    """Let those who wait for an image look again."""
    files.write_atomically(store.directory / NEWS, now().encode(), 0o644)


def discard(store: ImageStore, image: Image) -> None:
    """Take an image out of the store; its files stay until no container is on them. Raises OSError."""
    directory = store.rootfs(image).parent
    gone = store.directory / f"{_REMOVED}{directory.name}-{os.urandom(4).hex()}"
    os.rename(directory, gone)
    _delete_removed(store)


def _delete_removed(store: ImageStore) -> None:
    removed = list(store.directory.glob(f"{_REMOVED}*"))
    if not removed:
        return
    used = list(lower_directories())
    for directory in removed:
        # What a mount says of its layers is what they were called when it was made.
        rootfs = store.directory / directory.name.removeprefix(_REMOVED).rpartition("-")[0] / "rootfs"
        if not is_used(rootfs, used) and not _runs_from(directory):
            trees.delete(directory)
    for file in (store.directory / ".files").glob("*/*"):
        if file.lstat().st_nlink == 1:
            file.unlink()


def in_use(rootfs: Path) -> bool:
    """Whether a container of any machine is on this root file system, or a program runs from it."""
    return is_used(rootfs, lower_directories()) or _runs_from(rootfs)


def is_used(rootfs: Path, options: Iterable[str]) -> bool:
    """Whether one of these mounts' options names the root file system as a layer."""
    return any(str(rootfs) in each for each in options)


def lower_directories() -> Iterator[str]:
    """The options of all overlay mounts that any process sees."""
    seen = set()
    for pid in proc.pids():
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            if namespace in seen:
                continue
            found = [each.super_options for each in mounts.mounts(pid) if each.fstype == "overlay"]
        except OSError:
            continue  # ended meanwhile
        seen.add(namespace)
        yield from found


def _runs_from(directory: Path) -> bool:
    for pid in proc.pids():
        try:
            if Path(os.readlink(f"/proc/{pid}/exe")).is_relative_to(directory):
                return True
        except OSError:
            continue
    return False
