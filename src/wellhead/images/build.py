"""Build the built-in images that are missing or were built by older instructions."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from wellhead.images import busybox, echoserver, haproxy
from wellhead.images.recipe import Recipe
from wellhead.images.store import MANIFEST, Image, ImageStore
from wellhead.linux import mounts

Report = Callable[[str, int, int], None]

RECIPES: tuple[Recipe, ...] = (busybox.RECIPE, echoserver.RECIPE, haproxy.RECIPE)


def missing(store: ImageStore) -> list[Recipe]:
    """The recipes whose image is not in the store, or is there from older instructions."""
    present = {image.recipe for image in store.images()}
    return [recipe for recipe in RECIPES if recipe.version not in present]


def build(
    store: ImageStore, *, again: bool = False, report: Report = lambda what, done, total: None
) -> list[Image]:
    """Build what is missing, or everything if `again`. Returns what was built.

    `report` is told what is being built, how many are done, and how many there are to do.
    Safe beside another build of the same store: one waits for the other and then finds its work done. A
    build that is interrupted leaves nothing that would be taken for an image.

    Raises:
        BuildError: a package can't be had, or lacks something.
    """
    store.directory.mkdir(parents=True, exist_ok=True)
    with _lock(store.directory):
        _sweep(store.directory)
        built: list[Image] = []
        wanted = RECIPES if again else missing(store)
        for recipe in wanted:
            report(recipe.names[0], len(built), len(wanted))
            built.append(_build(store, recipe))
        if built:
            _remove_superseded(store)
        return built


def _build(store: ImageStore, recipe: Recipe) -> Image:
    with tempfile.TemporaryDirectory(prefix=".building-", dir=store.directory) as temporary:
        work, result = Path(temporary, "work"), Path(temporary, "result")
        work.mkdir()
        result.mkdir()
        rootfs = result / "rootfs"
        rootfs.mkdir(mode=0o755)
        used = recipe.assemble(work, rootfs)
        image = Image(
            id="sha256:" + hashlib.sha256(msgspec.json.encode((recipe.version, sorted(used)))).hexdigest(),
            names=recipe.names,
            config=recipe.config,
            recipe=recipe.version,
            created=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            size=_size(rootfs),
            packages=tuple(sorted(used)),
        )
        (result / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(image)))
        final = store.rootfs(image).parent
        if final.exists():  # the same instructions and packages as before: what is there may be in use
            shutil.copy(result / MANIFEST, final / f".{MANIFEST}")
            os.rename(final / f".{MANIFEST}", final / MANIFEST)
        else:
            os.rename(result, final)
    return image


def _size(rootfs: Path) -> int:
    inodes = {}
    for path in rootfs.rglob("*"):
        info = path.lstat()
        inodes[info.st_ino] = info.st_blocks * 512
    return sum(inodes.values())


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    with (directory / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(directory: Path) -> None:
    """Remove what interrupted builds left (nobody else builds while we hold the lock)."""
    for leftover in directory.glob(".building-*"):
        shutil.rmtree(leftover)


def _remove_superseded(store: ImageStore) -> None:
    current = {recipe.version for recipe in RECIPES}
    names = {name for recipe in RECIPES for name in recipe.names}
    kept: set[str] = set()
    for image in store.images():
        if image.recipe in current and image.recipe not in kept:
            kept.add(image.recipe)
        elif names.issuperset(image.names) and not _in_use(store.rootfs(image)):
            shutil.rmtree(store.rootfs(image).parent)


def _in_use(rootfs: Path) -> bool:
    """Whether a container of any machine is on this root file system, or a program runs from it."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(os.readlink(f"/proc/{pid}/exe")).is_relative_to(rootfs):
                return True
            if any(
                str(rootfs) in mount.super_options
                for mount in mounts.mounts(pid)
                if mount.fstype == "overlay"
            ):
                return True
        except OSError:
            continue  # ended meanwhile
    return False
