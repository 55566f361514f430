"""Removing what programs of others had their hands in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wellhead.linux import trees


def test_a_tree_goes_and_what_its_links_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("stays")
    tree = tmp_path / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/b/c/file").write_text("x")
    (tree / "a/link").symlink_to(tmp_path / "outside")
    (tree / "link").symlink_to("/")
    os.mkfifo(tree / "a/b/fifo")
    trees.remove(tree)
    assert not tree.exists()
    assert (tmp_path / "outside/file").read_text() == "stays"


def test_a_link_in_the_place_of_a_tree_goes_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree").symlink_to("outside")
    trees.remove(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    trees.remove(tmp_path / "tree")  # which isn't there


def test_a_file_in_the_place_of_a_tree_goes(tmp_path: Path) -> None:
    (tmp_path / "tree").write_text("x")
    trees.remove(tmp_path / "tree")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("depth", [5000])
def test_a_tree_deeper_than_a_path_is_long_and_recursion_goes(tmp_path: Path, depth: int) -> None:
    (tmp_path / "tree").mkdir()
    here = os.open(tmp_path / "tree", os.O_PATH)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_PATH, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    trees.remove(tmp_path / "tree")
    assert not any(tmp_path.iterdir())
