from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import until
from wellhead.lab import guest, launch, prerequisites, processes, startup, state
from wellhead.lab.cluster import Cluster, ClusterSpec, LabError
from wellhead.lab.node_watch import is_ready
from wellhead.lab.processes import Process
from wellhead.lab.startup import Wishes


@pytest.mark.parametrize("nodes", [0, 245])
def test_a_number_of_nodes_that_does_not_fit_is_refused_before_anything_is_made(
    tmp_path: Path, nodes: int
) -> None:
    with pytest.raises(LabError, match="room for 1 to 244"):
        startup.start(Cluster("test", tmp_path), Wishes(nodes=nodes))
    assert list(tmp_path.iterdir()) == []


def test_what_a_cluster_has_allocated_keeps_its_family(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    cluster.make_directories()
    cluster.write_spec(ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=1, ip_family="ipv4"))
    with pytest.raises(LabError, match=r"--ip-family dual: cluster test is ipv4.*wellhead down --name test"):
        startup.start(cluster, Wishes(ip_family="dual"))


@pytest.mark.parametrize("wishes", [Wishes(control_planes=3), Wishes(storage="etcd")])
def test_a_cluster_keeps_its_storage(tmp_path: Path, wishes: Wishes) -> None:
    cluster = Cluster("test", tmp_path)
    cluster.make_directories()
    cluster.write_spec(ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=1))
    with pytest.raises(LabError, match=r"cluster test has (1|sqlite), and that can't change: run"):
        startup.start(cluster, wishes)


def test_several_control_planes_share_no_file(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="--storage etcd"):
        startup.start(Cluster("test", tmp_path), Wishes(control_planes=3, storage="sqlite"))


def test_without_ipv6_in_the_kernel_only_who_asks_for_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Cluster] = []
    monkeypatch.setattr(prerequisites, "has_ipv6", lambda: False)
    monkeypatch.setattr(launch, "start", lambda cluster, *_: started.append(cluster))
    with pytest.raises(LabError, match=r"no IPv6.*use --ip-family ipv4"):
        startup.start(Cluster("test", tmp_path), Wishes(ip_family="dual"))
    assert list(tmp_path.iterdir()) == []
    found = startup.start(Cluster("test", tmp_path), Wishes(nodes=1))
    assert (found.spec.ip_family, len(started)) == ("ipv4", 1)
    assert found.remark == "This kernel has no IPv6: the cluster is IPv4 only."
    assert startup.start(Cluster("test", tmp_path), Wishes()).remark == ""


def test_many_nodes_are_a_process_each_unless_one_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "start", lambda *_: None)

    def up(name: str, wishes: Wishes) -> str:
        return startup.start(Cluster(name, tmp_path), wishes).spec.node_processes

    assert up("a", Wishes(nodes=startup.MANY_NODES - 1)) == "each"
    assert up("a", Wishes(nodes=startup.MANY_NODES)) == "each"  # as before
    assert up("a", Wishes(node_processes="one")) == "one"
    assert up("a", Wishes(nodes=1)) == "one"
    assert up("b", Wishes(nodes=startup.MANY_NODES)) == "one"
    assert up("c", Wishes(nodes=startup.MANY_NODES, node_processes="each")) == "each"


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """A cluster's supervisor that answers nobody, on a machine where no time passes."""
    monkeypatch.setattr(state, "ask", lambda _path: None)
    with subprocess.Popen(
        ["sleep", "infinity"],
        env={**os.environ, processes.CLUSTER: "test", processes.COMPONENT: processes.SUPERVISOR},
    ) as child:
        try:
            yield until(lambda: processes.inspect(child.pid), bool) or pytest.fail("it ended")
        finally:
            child.kill()


class Clock:
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_supervisor_that_was_just_started_may_take_its_time(
    tmp_path: Path, silent: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(startup, "time", clock)
    monkeypatch.setattr(Process, "age", property(lambda _: clock.now))
    assert startup._ask_supervisor(Cluster("test", tmp_path), silent) is None
    assert startup._START_PATIENCE <= clock.now < startup._START_PATIENCE + 1
    assert processes.inspect(silent.pid) is None


def test_an_old_one_that_hangs_is_ended_and_one_that_has_ended_is_not_waited_for(
    tmp_path: Path, silent: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(startup, "time", clock)
    monkeypatch.setattr(Process, "age", property(lambda _: 1000.0))
    for expected in (startup._PATIENCE, 0.0):
        clock.now = 0.0
        assert startup._ask_supervisor(Cluster("test", tmp_path), silent) is None
        assert expected <= clock.now < expected + 1


def test_a_full_disk_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Cluster, _spec: ClusterSpec) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state/cluster.json")

    monkeypatch.setattr(Cluster, "write_spec", full)
    with pytest.raises(LabError, match=r"/state/cluster\.json: No space left on device; make room there"):
        startup.start(Cluster("test", tmp_path), Wishes())


def test_a_shell_finds_kubectl_and_the_sbin_programs_whatever_the_callers_path(tmp_path: Path) -> None:
    variables = guest.environment(
        Cluster("test", tmp_path), "client", {"PATH": "/usr/bin:/opt/mine", "A": "b"}
    )
    path = variables["PATH"].split(":")
    assert (Path(path[0]) / "kubectl").exists()
    assert path[1:3] == ["/usr/bin", "/opt/mine"]
    assert "/usr/sbin" in path
    assert len(path) == len(set(path))
    assert variables["A"] == "b"
    assert variables["KUBECONFIG"] == str(tmp_path / "test/kubeconfigs/admin-client")


def test_inside_of_a_machine_clusters_are_not_managed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLHEAD_MACHINE", "node-1")
    with pytest.raises(LabError, match="shell on node-1, inside a cluster"):
        prerequisites.check_host()


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "check_host", lambda: None)
    monkeypatch.setitem(prerequisites.PROGRAMS, "no-such-program", "no-such-package")
    with pytest.raises(LabError) as caught:
        prerequisites.check_all(tmp_path)
    assert "apt-get install no-such-package" in str(caught.value)
    assert "wellhead image build" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, False),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, True),
        ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, False),
        ({"conditions": [{"type": "MemoryPressure", "status": "True"}]}, False),
    ],
)
def test_a_node_is_ready_when_it_says_so(status: dict[str, object], ready: bool) -> None:
    assert is_ready({"metadata": {"name": "node-1"}, "status": status}) == ready


def test_a_part_that_is_left_to_others_stays_so_until_it_is_wanted_back() -> None:
    before = ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=1, without=("proxy",))
    assert Wishes().without(None) == ()
    assert Wishes(has={"proxy": False, "cloud": None}).without(None) == ("proxy",)
    assert Wishes(has={"proxy": None, "cloud": False}).without(before) == ("proxy", "cloud")
    assert Wishes(has={"proxy": True}).without(before) == ()
