"""What is mounted where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wellhead.linux import mounts
from wellhead.node.volumes import claims


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a directory")
def test_a_claims_directory_is_seen_to_be_mounted_and_is_so_once(tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    source.mkdir()
    assert not mounts.is_mounted(place)
    place.mkdir()
    assert not mounts.is_mounted(place)
    try:
        for _ in range(3):
            claims.show(source, place)
        assert mounts.is_mounted(place)
        assert mounts.below(place) == [str(place.resolve())]
    finally:
        mounts.umount_below(place)
    assert not mounts.is_mounted(place)
