"""The images for other clusters, built: what is in, how large they are, that they are the same again."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

import wellhead
from tests.cluster.lab import BIN
from tests.patience import PATIENCE
from wellhead.images import packages
from wellhead.images.components import debian

pytestmark = pytest.mark.skipif(
    "WELLHEAD_WALK" not in os.environ, reason="two minutes of building: `make test-walk`"
)
DOWNLOADS = Path("/var/cache/wellhead/downloads")
MOST = 90_000_000  # bytes, unpacked

Made = dict[str, Any]


def build(directory: Path) -> dict[str, Made]:
    command = [str(BIN / "wellhead"), "image", "build", "all", "--to", str(directory), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE, check=True)
    return {each["component"]: each for each in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    return build(tmp_path_factory.mktemp("images"))


def unpacked(image: Made, directory: Path) -> Path:
    """The root of an image."""
    with tarfile.open(image["file"]) as archive:
        [manifest] = json.loads(read(archive, "manifest.json"))
        for layer in manifest["Layers"]:
            with archive.extractfile(layer) as packed, tarfile.open(fileobj=packed) as files:  # type: ignore[union-attr]
                files.extractall(directory, filter="tar")
    return directory


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_each_is_small_and_the_same_again(made: dict[str, Made], tmp_path: Path) -> None:
    assert {name: each["unpacked"] for name, each in made.items() if each["unpacked"] > MOST} == {}
    again = build(tmp_path)
    assert {name: each["digest"] for name, each in again.items()} == {
        name: each["digest"] for name, each in made.items()
    }


def test_its_bill_of_materials_is_inside_and_beside_and_lists_all(
    made: dict[str, Made], tmp_path: Path
) -> None:
    for name, image in made.items():
        root = unpacked(image, tmp_path / name)
        beside = Path(image["sbom"]).read_bytes()
        assert (root / f"var/lib/db/sbom/wellhead-{name}.cdx.json").read_bytes() == beside
        listed = {f"{each['name']}={each['version']}" for each in json.loads(beside)["components"]}
        assert set(image["debian"]) <= listed
        assert len(listed) == len(image["debian"]) + len(image["wheels"]) + 1
        packages = {each.name for each in (root / "var/lib/dpkg/status.d").iterdir()}
        assert {each.partition("=")[0] for each in listed} >= packages


def test_the_speakers_bird_runs_in_the_image_that_is_deployed(made: dict[str, Made], tmp_path: Path) -> None:
    root = unpacked(made["cloud"], tmp_path)
    for command in (
        ("/usr/sbin/bird", "--version"),
        ("/usr/sbin/haproxy", "-v"),
        ("/usr/bin/wellhead", "bgp", "--bird", "/usr/sbin/bird", "--help"),
    ):
        done = subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_containerd_and_docker_load_and_run_them(made: dict[str, Made], tmp_path: Path) -> None:
    archives = debian.fetch(("containerd", "docker.io", "libdevmapper1.02.1", "runc"), DOWNLOADS)
    packages.extract(archives, tmp_path / "tree")
    script = Path(__file__).with_name("runtimes.sh")
    # As the first process of a namespace it takes all with it that it has started.
    alone = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
    files = [image["file"] for image in made.values()]
    command = [*alone, "bash", str(script), str(tmp_path / "tree"), str(tmp_path), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    wanted = (
        f"{runtime} wellhead-{name}:{wellhead.__version__}"
        for name in made
        for runtime in ("containerd", "docker")
    )
    assert done.stdout.splitlines() == [f"{each} wellhead, version {wellhead.__version__}" for each in wanted]
