"""Mounts in what belongs to a pod: parts of volumes, and what must not be emptied with a directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.packets.node.world import World
from wellhead.linux import mounts, trees
from wellhead.node.volumes import parts


@pytest.fixture
def volume(world: World) -> Path:
    """A volume `v` beside a directory `other` with a file in it."""

    def make() -> None:
        (world.path("other")).mkdir()
        (world.path("other/file")).write_text("the host's")
        (world.path("v/sub")).mkdir(parents=True)
        (world.path("v")).chmod(0o2777)
        (world.path("v/sub/file")).write_text("ours")

    world.run(make)
    return world.path("v")


def test_a_part_is_what_it_was_when_it_was_opened(world: World, volume: Path) -> None:
    place = world.path("parts/0")

    def check() -> None:
        parts.pin(volume, "sub", place)
        (volume / "sub").rename(volume / "aside")
        (volume / "sub").symlink_to("../other")
        assert (place / "file").read_text() == "ours"
        parts.pin(volume, "aside/file", world.path("parts/1"))
        assert world.path("parts/1").read_text() == "ours"

    world.run(check)


@pytest.mark.parametrize("target", ["../other", "/etc", "../other/file"])
def test_a_part_that_leads_out_is_refused(world: World, volume: Path, target: str) -> None:
    def check() -> None:
        (volume / "evil").symlink_to(target)
        for part in ("evil", "evil/new"):
            with pytest.raises(OSError, match=r".") as refused:
                parts.pin(volume, part, world.path("parts/0"))
            assert refused.value.errno == errno.EXDEV
        assert not mounts.below(world.path("parts"))
        assert [path.name for path in world.path("other").iterdir()] == ["file"]

    world.run(check)


def test_a_part_that_is_missing_is_made_for_whom_the_volume_is(world: World, volume: Path) -> None:
    def check() -> None:
        parts.pin(volume, "new/deep", world.path("parts/0"))
        assert (volume / "new/deep").stat().st_mode & 0o7777 == 0o2777
        (world.path("parts/0/x")).write_text("x")
        assert (volume / "new/deep/x").read_text() == "x"

    world.run(check)


def test_a_removal_unmounts_first_and_empties_nothing_that_was_mounted(world: World, volume: Path) -> None:
    def check() -> None:
        parts.pin(volume, "sub", world.path("pod/parts/0"))
        trees.remove(world.path("pod"))
        assert not world.path("pod").exists()
        assert (volume / "sub/file").read_text() == "ours"

    world.run(check)


@pytest.mark.parametrize("depth", ["", "a/", "a/b/c/"])
def test_a_mount_that_is_there_nevertheless_stops_a_removal(world: World, volume: Path, depth: str) -> None:
    def check() -> None:
        place = world.path(f"pod/{depth}mounted")
        place.mkdir(parents=True)
        mounts.mount(volume, place, flags=mounts.MS_BIND)
        with pytest.raises(OSError, match=r".") as refused:
            trees.delete(world.path("pod"))
        assert refused.value.errno in (errno.EXDEV, errno.EBUSY)
        assert (volume / "sub/file").read_text() == "ours"
        trees.remove(world.path("pod"))

    world.run(check)


def test_mounts_are_found_whatever_their_names(world: World, volume: Path) -> None:
    def check() -> None:
        names = [b"a b", b"\xff\xfe", b"x\x0cy\x85z", "\u2028".encode(), b"back\\slash", b"tab\there"]
        for name in names:
            place = world.path("odd") / os.fsdecode(name)
            place.mkdir(parents=True)
            mounts.mount("odd", place, "tmpfs")
        assert len(mounts.below(world.path("odd"))) == len(names)
        trees.remove(world.path("odd"))
        assert not world.path("odd").exists()

    world.run(check)
