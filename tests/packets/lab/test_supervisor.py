from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packets.lab.supervised import SERVER, SLEEPER, Supervise, Supervised, component
from tests.patience import PATIENCE, until
from wellhead.lab import guest, logs, processes, teardown
from wellhead.lab.cluster import Cluster


@pytest.mark.usefixtures("untouched_host")
def test_a_component_is_in_its_machine_and_inherits_nothing_else(supervise: Supervise) -> None:
    lab = supervise(["node-1", "describer", ["describe", "--flag"], "edge network"])
    snapshot = lab.running()
    log = lab.cluster.log_file("node-1", "describer")
    lab.until(lambda _: bool(logs.tail(log, 1)))
    found = json.loads(logs.tail(log, 1)[0])
    assert found["descriptors"] == [0, 1, 2, 3]
    assert found["inherited"].startswith("net:")
    assert (found["hostname"], found["interfaces"], found["parent"]) == ("node-1", ["eth0", "lo"], 0)
    environment = found["environment"]
    assert environment["WELLHEAD_CLUSTER"] == lab.cluster.name
    assert environment["WELLHEAD_MACHINE"] == "node-1"
    assert "WELLHEAD_COMPONENT" not in environment  # or else its children would be taken for it
    pid = component(snapshot, "describer").pid
    assert Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") == b"wellhead\0describe\0--flag"
    process = processes.inspect(pid)
    assert process is not None
    assert (process.machine, process.component) == ("node-1", "describer")


def test_a_component_that_was_killed_is_started_again(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = component(lab.running(), "sleeper")
    os.kill(before.pid, signal.SIGKILL)
    after = component(lab.until(lambda s: component(s, "sleeper").pid not in (0, before.pid)), "sleeper")
    assert after.restarts == 1
    assert after.problem == "killed by SIGKILL"


def test_a_component_that_fails_is_tried_less_and_less_often(supervise: Supervise) -> None:
    lab = supervise(["node-1", "crasher", ["crash"], None], SLEEPER)
    lab.until(lambda s: component(s, "crasher").restarts >= 4 and component(s, "sleeper").pid > 0)
    started = time.monotonic()
    restarts = component(lab.until(lambda _: True), "crasher").restarts
    lab.until(lambda s: component(s, "crasher").restarts >= restarts + 2)
    assert time.monotonic() - started > 0.8
    assert logs.tail(lab.cluster.log_file("node-1", "crasher"), 1) == ["as it was told to"]


def test_a_machine_that_was_switched_off_is_made_again_with_its_components(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    pids = {machine.name: machine.pid for machine in before.machines}
    os.kill(pids["node-1"], signal.SIGKILL)
    after = lab.until(
        lambda s: (
            component(s, "sleeper").pid not in (0, component(before, "sleeper").pid)
            and {m.name: m.pid for m in s.machines}["node-1"] not in (0, pids["node-1"])
        )
    )
    assert {m.name: m.pid for m in after.machines} | {"node-1": 0} == pids | {"node-1": 0}
    assert {m.name: m.restarts for m in after.machines}["node-1"] == 1
    machine = guest.find(lab.cluster, "node-1")
    assert guest.run(machine, ["ip", "route", "get", "198.51.100.79"], os.environ) == 0
    machine.close()


def test_who_holds_the_edges_network_is_restarted_with_it(supervise: Supervise) -> None:
    lab = supervise(["cloud", "holder", ["sleep"], "edge network"], ["client", "sleeper", ["sleep"], None])
    before = lab.running()
    (edge,) = [machine.pid for machine in before.machines if machine.name == "edge"]
    os.kill(edge, signal.SIGKILL)
    lab.until(lambda s: all(each.pid not in (0, component(before, each.name).pid) for each in s.components))


def test_a_new_supervisor_adopts_everything(supervise: Supervise) -> None:
    lab = supervise(SLEEPER, SERVER)
    before = lab.running()
    served = lab.ask_server()
    lab.kill()
    assert lab.ask_server() == served  # nothing depends on the supervisor
    lab.start()
    after = lab.running()
    assert after.pid != before.pid
    assert {(c.name, c.pid, c.restarts) for c in after.components} == {
        (c.name, c.pid, 0) for c in before.components
    }
    assert [m.pid for m in after.machines] == [m.pid for m in before.machines]
    # It got the API server's socket back: a client that comes while nobody accepts waits.
    (server,) = [p for p in processes.find(lab.cluster.name) if p.component == "server"]
    assert processes.end([server]) == []  # waits: one that is dying might still accept
    assert lab.ask_server() == served
    os.kill(component(after, "sleeper").pid, signal.SIGKILL)
    lab.until(lambda s: component(s, "sleeper").pid not in (0, component(before, "sleeper").pid))


def test_what_died_together_with_the_supervisor_is_made_again(supervise: Supervise) -> None:
    lab = supervise(SLEEPER, SERVER)
    before = lab.running()
    lab.kill()
    os.kill(component(before, "sleeper").pid, signal.SIGKILL)
    (edge,) = [machine.pid for machine in before.machines if machine.name == "edge"]
    os.kill(edge, signal.SIGKILL)
    lab.start()
    after = lab.until(lambda s: component(s, "sleeper").pid not in (0, component(before, "sleeper").pid))
    assert all(machine.pid for machine in after.machines)


def test_a_supervisor_that_was_killed_is_back_with_what_died_since(supervise: Supervise) -> None:
    lab = supervise(SLEEPER, SERVER)
    before = lab.running()
    served = lab.ask_server()
    for _ in range(3):
        old = lab.running()
        os.kill(old.pid, signal.SIGKILL)
        (server,) = lab.called("server")
        processes.end([server])
        os.kill(component(old, "sleeper").pid, signal.SIGKILL)
        after = lab.until(lambda s, old=old: s.pid != old.pid and all(c.pid for c in s.components))  # type: ignore[misc]
        assert lab.ask_server() == served  # at the same port: somebody kept the socket
        assert component(after, "sleeper").pid != component(old, "sleeper").pid
    assert [m.pid for m in lab.running().machines] == [m.pid for m in before.machines]
    assert len(lab.called(processes.SUPERVISOR)) == len(lab.called(processes.GUARDIAN)) == 1


def test_supervisor_and_guardian_outlive_each_other_many_times(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    for number in range(4):
        which = (processes.GUARDIAN, processes.SUPERVISOR)[number % 2]
        lab.until(lambda _: len(lab.called(processes.GUARDIAN)) == 1)
        (victim,) = lab.called(which)
        processes.end([victim])
        lab.until(
            lambda _, which=which, victim=victim: [p.pid for p in lab.called(which)] not in ([], [victim.pid])  # type: ignore[misc]
        )
    assert component(lab.running(), "sleeper").pid == component(before, "sleeper").pid


def test_both_killed_at_once_stay_dead_until_another_is_started(supervise: Supervise) -> None:
    lab = supervise(SLEEPER, SERVER)
    before = lab.running()
    lab.kill()
    # A component that was just being started had the supervisor's name yet.
    until(lambda: not lab.called(processes.SUPERVISOR))
    lab.start()
    after = lab.running()
    assert {(c.name, c.pid) for c in after.components} == {(c.name, c.pid) for c in before.components}
    lab.until(lambda _: len(lab.called(processes.GUARDIAN)) == 1)


def test_there_is_one_supervisor(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    first = lab.running()
    lab.start()
    second = lab._supervisors.pop()
    assert second.wait(PATIENCE) == 3
    assert lab.running() == first


def test_sigterm_ends_the_supervisor_alone(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    lab.kill(signal.SIGTERM)
    assert processes.inspect(component(before, "sleeper").pid) is not None


def test_a_changed_command_line_restarts_the_component(supervise: Supervise) -> None:
    stubborn = ["node-1", "stubborn", ["ignore-sigterm"], None]
    lab = supervise(SLEEPER, stubborn)
    before = lab.running()
    lab.write([["node-1", "sleeper", ["sleep", "--differently"], None], stubborn])
    lab.tell(signal.SIGHUP)
    after = lab.until(lambda s: component(s, "sleeper").pid not in (0, component(before, "sleeper").pid))
    title = Path(f"/proc/{component(after, 'sleeper').pid}/cmdline")
    lab.until(lambda _: title.read_bytes().rstrip(b"\0") == b"wellhead\0sleep\0--differently")
    assert component(after, "stubborn").pid == component(before, "stubborn").pid
    # Who doesn't end when asked to is made to.
    lab.write([SLEEPER, ["node-1", "stubborn", ["sleep"], None]])
    lab.tell(signal.SIGHUP)
    lab.until(lambda s: component(s, "stubborn").pid not in (0, component(before, "stubborn").pid))


def test_a_component_that_is_wanted_no_more_is_ended(supervise: Supervise) -> None:
    other = ["node-1", "other", ["sleep"], None]
    lab = supervise(SLEEPER, other)
    before = lab.running()
    lab.write([SLEEPER])
    lab.tell(signal.SIGHUP)
    lab.until(lambda _: processes.inspect(component(before, "other").pid) is None)
    after = lab.running()
    assert component(after, "sleeper").pid == component(before, "sleeper").pid
    assert [each.name for each in after.components] == ["sleeper"]


def test_nodes_come_and_go(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    more = ["node-2", "second", ["sleep"], None]
    lab.write([SLEEPER, more], nodes=2)
    lab.tell(signal.SIGHUP)
    lab.until(lambda s: len(s.components) == 2 and all(c.pid for c in s.components))
    lab.write([SLEEPER], nodes=1)
    lab.tell(signal.SIGHUP)
    lab.until(lambda _: (lab.cluster.directory / "deleted-node-2").exists())
    after = lab.running()
    assert component(after, "sleeper").pid == component(before, "sleeper").pid
    assert "node-2" not in {process.machine for process in processes.find(lab.cluster.name)}


def test_a_damaged_specification_is_said_and_changes_nothing(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    lab.cluster.spec_file.write_text("{")
    lab.tell(signal.SIGHUP)
    lab.until(lambda s: "missing or damaged" in s.problem)
    # It stays said, while everything else goes on.
    first = component(before, "sleeper").pid
    os.kill(first, signal.SIGKILL)
    before = lab.until(lambda s: component(s, "sleeper").pid not in (0, first))
    assert "missing or damaged" in before.problem
    lab.write([SLEEPER])
    lab.tell(signal.SIGHUP)
    after = lab.until(lambda s: not s.problem)
    assert component(after, "sleeper").pid == component(before, "sleeper").pid


@pytest.mark.usefixtures("untouched_host")
@pytest.mark.parametrize(
    "harm", ["nothing", "supervisor", "both", "guardian", "machine", "state", "component", "stopped"]
)
def test_down_removes_everything_whatever_happened(supervise: Supervise, harm: str) -> None:
    lab = supervise(SLEEPER, SERVER)
    before = lab.running()
    if harm == "supervisor":
        os.kill(before.pid, signal.SIGKILL)  # down comes while the guardian is at it
    elif harm == "both":
        lab.kill()
    elif harm == "guardian":
        processes.end(lab.called(processes.GUARDIAN))
    elif harm == "machine":
        os.kill(before.machines[1].pid, signal.SIGKILL)
    elif harm == "component":
        os.kill(before.components[0].pid, signal.SIGKILL)
    elif harm == "state":
        lab.cluster.spec_file.unlink()
        lab.cluster.supervisor_socket.unlink()
    elif harm == "stopped":
        lab.tell(signal.SIGSTOP)
    assert teardown.remove(lab.cluster)
    assert processes.find(lab.cluster.name) == []
    assert not lab.cluster.directory.exists()
    assert not teardown.remove(lab.cluster)


def test_down_finds_processes_without_any_file(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    lab.running()
    for path in sorted(lab.cluster.directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    lab.cluster.directory.rmdir()
    assert teardown.remove(lab.cluster)
    assert processes.find(lab.cluster.name) == []


def test_down_leaves_other_clusters_alone(
    supervise: Supervise, new_cluster: Callable[[str], Cluster]
) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    other = Supervised(new_cluster("other"), [SLEEPER])
    try:
        other.running()
        assert teardown.remove(other.cluster)
        assert lab.running() == before
    finally:
        other.close()
