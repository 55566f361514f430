"""Images of components: what is in them is locked, and equal trees make equal archives."""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import tarfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wellhead.images.archive import sources
from wellhead.images.bounds import Bounds
from wellhead.images.components.catalog import COMPONENTS
from wellhead.images.components.python import LOCK
from wellhead.images.layout import write_archive, write_layer

ROOT = Path(__file__).parents[3]


def locked(file: Path) -> dict[str, str]:
    blocks = re.split(r"(?m)^(?=[a-zA-Z0-9])", file.read_text())
    return {each.split("==")[0]: each.strip() for each in blocks if each.strip()}


def test_the_images_lock_all_that_the_components_need_as_the_project_does() -> None:
    ours, all_of_it = locked(LOCK), locked(ROOT / "requirements.lock")
    assert {name: all_of_it.get(name) for name in ours} == ours
    needed = {"aiohttp", "click", "msgspec", "prometheus-client", "pyroute2", "python-json-logger"}
    needed |= {"pyyaml", "uvloop"}
    waiting = set(needed)
    while waiting:
        for text in importlib.metadata.requires(waiting.pop()) or ():
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name not in needed and (
                requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            ):
                needed.add(name)
                waiting.add(name)
    assert set(ours) >= needed


def test_every_component_has_an_image_of_its_own_name() -> None:
    names = [each.repository for each in COMPONENTS]
    assert len(set(names)) == len(names)
    assert {each.user for each in COMPONENTS if not each.programs} == {"65534:65534"}


def tree(directory: Path, order: tuple[str, ...]) -> Path:
    directory.mkdir()
    for number, name in enumerate(order):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        os.utime(file, (number * 1000, number * 1000))
    (directory / "link").symlink_to("usr/a")
    return directory


def test_equal_trees_make_equal_archives_whenever_they_were_written(tmp_path: Path) -> None:
    written = []
    for name, order in (("one", ("usr/a", "usr/b", "z")), ("two", ("z", "usr/b", "usr/a"))):
        layer = write_layer(tree(tmp_path / name, order), tmp_path / f"{name}.layer", time=0)
        archive = io.BytesIO()
        digest = write_archive(archive, ["docker.io/library/x:1"], {"os": "linux"}, [layer])
        written.append((digest, archive.getvalue()))
    assert written[0] == written[1]


def test_only_the_files_that_are_wanted_are_in_a_layer(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", ("usr/a", "usr/b"))
    layer = write_layer(root, tmp_path / "layer", time=7, wanted=lambda path: path == "usr/b")
    with tarfile.open(layer.path) as packed:
        assert [(each.name, each.mtime, each.uid) for each in packed] == [("usr/b", 7, 0)]
    assert layer.unpacked == len("usr/b")


def test_an_archive_is_one_of_oci_and_of_docker(tmp_path: Path) -> None:
    layer = write_layer(tree(tmp_path / "root", ("a",)), tmp_path / "layer", time=0)
    target = tmp_path / "archive.tar"
    with target.open("wb") as file:
        digest = write_archive(file, ["docker.io/library/x:1"], {"os": "linux"}, [layer])
    with tarfile.open(target) as archive:
        assert {"oci-layout", "index.json", "manifest.json"} <= set(archive.getnames())
    (tmp_path / "work").mkdir()
    [found] = sources(target, tmp_path / "work", Bounds())
    assert "docker.io/library/x:1" in found.names
    assert any(digest in each for each in found.digests)
