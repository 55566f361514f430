from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from wellhead.lab import guest, machines, processes
from wellhead.lab.cluster import Cluster, LabError
from wellhead.lab.machines import Machine


@contextlib.contextmanager
def _machine(cluster: Cluster, name: str) -> Iterator[Machine]:
    machine = machines.create(cluster.name, name)
    try:
        yield machine
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(machine.pidfd, signal.SIGKILL)
        os.waitpid(machine.pid, 0)
        machine.close()


def _in(machine: Machine, command: str, variables: dict[str, str] | None = None) -> list[str]:
    """What a shell command prints on the machine."""
    readable, writable = os.pipe()
    os.set_inheritable(writable, True)
    script = f"exec >&{writable} {writable}>&-; {command}"
    guest.run(machine, ["bash", "-c", script], os.environ | (variables or {}))
    os.close(writable)
    with os.fdopen(readable) as output:
        return output.read().splitlines()


@pytest.mark.usefixtures("untouched_host")
def test_a_machine_has_its_own_processes_host_name_interfaces_and_mounts(cluster: Cluster) -> None:
    with _machine(cluster, "node-1") as machine:
        assert _in(machine, "hostname") == ["node-1"]
        assert _in(machine, "ls /sys/class/net") == ["lo"]
        assert _in(machine, "cat /proc/1/comm") == ["catatonit"]
        assert _in(machine, "stat -fc %T /sys/fs/cgroup /run") == ["cgroup2fs", "tmpfs"]
        _in(machine, "mount -t tmpfs none /mnt && touch /mnt/there /run/there")
        assert _in(machine, "ls /mnt/there /run/there") == ["/mnt/there", "/run/there"]
        assert not os.path.exists("/mnt/there")
        assert not os.path.exists("/run/there")
    assert socket.gethostname() != "node-1"


def test_a_machine_is_found_by_its_environment(cluster: Cluster) -> None:
    with _machine(cluster, "node-1") as machine:
        (process,) = processes.find(cluster.name)
        assert (process.pid, process.machine, process.component) == (machine.pid, "node-1", "")
        assert process.is_init
        found = machines.find(cluster.name)
        assert [each.pid for each in found.values()] == [machine.pid]
        found["node-1"].close()
    assert processes.find(cluster.name) == []


def test_switching_it_off_ends_everything_in_it(cluster: Cluster) -> None:
    with _machine(cluster, "node-1") as machine:
        # An orphan in a session of its own, as a container's monitor is.
        command = "setsid -f sleep 1000 >&- 2>&- <&-; until pgrep -x sleep >/dev/null; do :; done"
        _in(machine, command, guest.environment(cluster, "node-1", os.environ))
        inside = [process for process in processes.find(cluster.name) if not process.is_init]
        assert len(inside) == 1
        assert machine.is_on
        assert processes.end([p for p in processes.find(cluster.name) if p.is_init]) == []
        assert all(processes.inspect(process.pid) is None for process in inside)
        assert not machine.is_on
        with pytest.raises(ProcessLookupError):
            machine.fork()
        with pytest.raises(ProcessLookupError):
            machine.open_network()


def test_orphans_are_reaped(cluster: Cluster) -> None:
    with _machine(cluster, "node-1") as machine:
        _in(machine, "sh -c 'true & exit'; while ps -eo stat= | grep -q Z; do :; done")


def test_the_caller_stays_where_it_is(cluster: Cluster) -> None:
    kinds = ("net", "mnt", "pid", "pid_for_children", "uts")
    before = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    with _machine(cluster, "node-1") as machine:
        _in(machine, "true")
        assert [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds] == before


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("true", 0)])
def test_a_commands_status_is_passed_on(cluster: Cluster, command: str, status: int) -> None:
    with _machine(cluster, "client") as machine:
        assert guest.run(machine, ["sh", "-c", command], os.environ) == status


def test_a_command_that_is_not_there_is_127(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    with _machine(cluster, "client") as machine:
        assert guest.run(machine, ["no-such-command"], os.environ) == 127
    assert "no-such-command: command not found on client" in capfd.readouterr().err


def test_an_unknown_host_is_answered_with_those_there_are(cluster: Cluster) -> None:
    with pytest.raises(LabError, match="isn't running"):
        guest.find(cluster, "client")
    with _machine(cluster, "client"), pytest.raises(LabError, match=r"no host clinet .*: client"):
        guest.find(cluster, "clinet")


def test_a_strangers_process_is_never_held(cluster: Cluster) -> None:
    with _machine(cluster, "client"):
        (process,) = processes.find(cluster.name)
    # The pid may be anybody's by now; this is somebody who is there for sure.
    taken_over = processes.Process(
        os.getppid(), process.cluster, process.machine, process.component, True, process.started
    )
    assert processes.hold(taken_over) is None
    assert processes.end([taken_over]) == []
