"""What trees and pods take of the disk."""

from __future__ import annotations

import os
from pathlib import Path

from tests.unit.node.world import world
from wellhead.node.eviction import disk
from wellhead.node.eviction.observing import observe
from wellhead.node.pods.record import Attempt


def fill(path: Path, kibibytes: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (kibibytes << 10))
    return path


def test_a_file_counts_once_and_a_hole_not_at_all(tmp_path: Path) -> None:
    first = fill(tmp_path / "d/e/f", 64)
    os.link(first, tmp_path / "again")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    found = disk.size(tmp_path)
    assert 64 << 10 <= found.bytes < 128 << 10
    assert found.inodes == 5


def test_links_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "outside/f", 64)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    assert disk.size(tmp_path / "inside").bytes < 32 << 10
    (tmp_path / "itself").symlink_to(tmp_path / "outside")
    assert disk.size(tmp_path / "itself").inodes == 0


def test_what_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert disk.size(tmp_path / "none") == disk.Size()


def test_enough_is_enough(tmp_path: Path) -> None:
    for number in range(50):
        fill(tmp_path / f"d{number}/f", 16)
    assert disk.size(tmp_path, 32 << 10).inodes < 20


def test_depth_is_no_hiding_place(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("a-rather-long-name", dir_fd=here)
        below = os.open("a-rather-long-name", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(file, bytes(range(256)) * 256)
    os.close(file)
    os.close(here)
    assert disk.size(tmp_path).inodes == 302


async def test_a_pod_is_its_containers_files_and_logs_and_its_volumes(tmp_path: Path) -> None:
    volumes = [
        {"name": "v", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": str(tmp_path)}},
    ]
    state = world(tmp_path, {"name": "main", "image": "busybox"}, volumes=volumes).state
    state.record.of("main").current = Attempt("id", 1, "busybox", "sha256:0", launched=True)
    fill(state.bundle("main", 1) / "upper/f", 64)
    fill(state.bundle("main", 0) / "upper/old", 640)
    fill(state.log("main", 1), 32)
    fill(state.log("main", 0), 16)
    fill(state.volumes.path(volumes[0]) / "f", 128)
    used = disk.used(state)
    assert 112 << 10 <= used.containers["main"] < 160 << 10
    assert used.volumes.keys() == {"v"}
    assert 128 << 10 <= used.volumes["v"] < 160 << 10
    assert used.total == used.containers["main"] + used.volumes["v"]


def test_the_node_is_read_as_far_as_it_can_be(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    (proc / "sys/kernel").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:  2000 kB\nMemAvailable:   500 kB\nHugePages_Total:  0\n")
    (proc / "loadavg").write_text("0.1 0.2 0.3 2/150 999\n")
    (proc / "sys/kernel/pid_max").write_text("1000\n")
    (proc / "sys/kernel/threads-max").write_text("800\n")
    found = observe(tmp_path, tmp_path / "none", proc)
    assert (found["memory.available"].available, found["memory.available"].capacity) == (512000, 2048000)
    assert (found["pid.available"].available, found["pid.available"].capacity) == (650, 800)
    assert found["nodefs.available"].capacity > 0
    assert "imagefs.available" not in found
    assert "memory.available" not in observe(tmp_path, tmp_path, tmp_path / "none")
