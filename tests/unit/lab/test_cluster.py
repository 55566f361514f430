from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wellhead.lab.cluster import Cluster, ClusterSpec, LabError, existing


@pytest.mark.parametrize("name", ["a", "wellhead", "ci-2", "x" * 40])
def test_a_dns_label_is_a_name(name: str) -> None:
    assert Cluster(name).name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "..", "ü", "x" * 41, "a\n"])
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="can't be a cluster's name"):
        Cluster(name)


def test_the_longest_socket_path_fits_the_kernel() -> None:
    assert len(str(Cluster("x" * 40).supervisor_socket)) < 108


def test_a_spec_is_read_as_it_was_written(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    cluster.make_directories()
    spec = ClusterSpec(name="test", nodes=3, proxy_mode="iptables", api_port=6443)
    cluster.write_spec(spec)
    assert cluster.read_spec() == spec


@pytest.mark.parametrize("content", ["", "{", '{"name": "test"}', '{"name": 1}'])
def test_a_damaged_spec_is_none(tmp_path: Path, content: str) -> None:
    cluster = Cluster("test", tmp_path)
    cluster.make_directories()
    cluster.spec_file.write_text(content)
    assert cluster.read_spec() is None


def test_a_missing_cluster_has_no_spec_and_no_lock(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    assert cluster.read_spec() is None
    with cluster.locked(create=False) as there:
        assert not there
    assert existing(tmp_path / "nothing") == []


def test_one_at_a_time_brings_a_cluster_up_and_the_next_says_for_whom_it_waits(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    waits, done = threading.Event(), []
    told: list[str] = []

    def waiting(pid: str) -> None:
        told.append(pid)
        waits.set()

    def second() -> None:
        with cluster.turn(waiting) as is_new:
            done.append(("second", is_new))

    with cluster.turn(told.append) as is_new:
        waiter = threading.Thread(target=second)
        waiter.start()
        assert waits.wait(PATIENCE)
        cluster.spec_file.write_text("{}")
        done.append(("first", is_new))
    waiter.join(PATIENCE)
    assert done == [("first", True), ("second", False)]
    assert told == [str(os.getpid())]


def test_who_waited_for_a_cluster_that_was_removed_begins_a_new_one(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    waits, seen = threading.Event(), []

    def second() -> None:
        with cluster.turn(lambda _: waits.set()) as is_new:
            seen.append((is_new, cluster.directory.exists()))
            cluster.spec_file.write_text("{}")

    with cluster.turn(lambda _: None):
        waiter = threading.Thread(target=second)
        waiter.start()
        assert waits.wait(PATIENCE)
        shutil.rmtree(cluster.directory)
    waiter.join(PATIENCE)
    assert seen == [(True, True)]
    assert cluster.spec_file.exists()


def test_of_what_was_refused_nothing_is_left(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path / "root")
    with pytest.raises(LabError), cluster.turn(lambda _: None):
        raise LabError("no")
    assert list(tmp_path.iterdir()) == []


def test_who_waited_for_a_removed_cluster_locks_the_new_one(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    seen = []

    def wait() -> None:
        with cluster.locked(create=True):
            seen.append(cluster.directory.exists())

    with cluster.locked(create=True):
        waiter = threading.Thread(target=wait)
        waiter.start()
        cluster.directory.rmdir()
    waiter.join(10)
    assert seen == [True]
    assert [each.name for each in existing(tmp_path)] == ["test"]
