"""`wellhead shell` and `wellhead exec` on a terminal. They need a machine and nothing else of a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.packets.lab.network import Network
from tests.patience import PATIENCE
from wellhead.lab.cluster import Cluster

_WELLHEAD = str(Path(sys.executable).parent / "wellhead")
_OUTSIDE = "OUTSIDE> "


@pytest.fixture
def name(cluster: Cluster) -> Iterator[str]:
    """The name of a cluster that consists of its machines."""
    with Network(cluster.name, 1):
        yield cluster.name


class Terminal:
    """A shell of the host's on a terminal, in which `wellhead` is typed."""

    def __init__(self) -> None:
        environment = os.environ | {"TERM": "dumb", "SHELL": "/bin/bash"}
        self._child: pexpect.spawn[str] = pexpect.spawn(
            "/bin/bash", ["--norc"], encoding="utf-8", timeout=PATIENCE, dimensions=(30, 200), env=environment
        )
        self.type("PS1='OUTSIDE''> '", _OUTSIDE)

    def type(self, line: str, until: str) -> str:
        """Type a line; what is printed before `until`."""
        self._child.sendline(line)
        return self.until(until)

    def until(self, expected: str) -> str:
        self._child.expect_exact(expected)
        return str(self._child.before)

    def press(self, key: str, until: str) -> str:
        self._child.sendcontrol(key)
        return self.until(until)

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def test_a_shell_is_on_the_host_says_so_and_passes_its_status_on(terminal: Terminal, name: str) -> None:
    prompt = f"[node-1.{name}] "
    terminal.type(f"{_WELLHEAD} shell --name {name} node-1", prompt)
    assert "node-1" in terminal.type("hostname", prompt)
    assert str(Path(sys.executable).parent / "kubectl") in terminal.type("type kubectl", prompt)
    assert "admin-machine" in terminal.type("echo $KUBECONFIG", prompt)
    assert "node-1" in terminal.type("echo $WELLHEAD_MACHINE", prompt)
    terminal.type("exit 5", _OUTSIDE)
    assert "\r\n5\r\n" in terminal.type("echo $?", _OUTSIDE)


def test_job_control_works_in_a_shell(terminal: Terminal, name: str) -> None:
    prompt = f"[client.{name}] "
    terminal.type(f"{_WELLHEAD} shell --name {name}", prompt)
    terminal.type("sh -c 'echo run\"\"ning; exec sleep 100'", "running")
    terminal.press("c", prompt)
    terminal.type("sh -c 'echo run\"\"ning; exec cat'", "running")
    assert "Stopped" in terminal.press("z", prompt)
    terminal.type("fg", "cat")
    terminal.type("echoed", "echoed\r\nechoed")
    terminal.press("d", prompt)
    terminal.type("exit", _OUTSIDE)


def test_ctrl_c_and_ctrl_z_reach_a_command(terminal: Terminal, name: str) -> None:
    run = f"{_WELLHEAD} exec --name {name} client -- sh -c"
    terminal.type(f"{run} 'echo run\"\"ning; exec sleep 100'; echo status=$?", "running")
    assert "status=130" in terminal.press("c", _OUTSIDE)
    terminal.type(f"{run} 'echo run\"\"ning; exec cat'", "running")
    assert "Stopped" in terminal.press("z", _OUTSIDE)
    terminal.type("fg", "exec cat")
    terminal.type("echoed", "echoed\r\nechoed")
    terminal.press("d", _OUTSIDE)


def test_the_terminal_comes_back_to_a_script_without_job_control(terminal: Terminal, name: str) -> None:
    script = f'{_WELLHEAD} shell --name {name}; echo ba""ck; read line; echo "got $line"'
    terminal.type(f"sh -c '{script}'", f"[client.{name}] ")
    terminal.type("exit", "back")
    terminal.type("a line", "got a line")


def test_exec_passes_streams_status_and_signals_on(name: str) -> None:
    run = [_WELLHEAD, "exec", "--name", name, "client", "--"]
    done = subprocess.run(
        [*run, "sh", "-c", "cat; echo problem >&2; exit 3"],
        input="through\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("through\n", "problem\n", 3)
    script = "trap 'echo asked to end; exit 4' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen([*run, "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.read() == "asked to end\n"
    assert process.returncode == 4


@pytest.mark.parametrize("told", [signal.SIG_DFL, signal.SIG_IGN], ids=["plainly", "by nohup"])
def test_a_command_ends_when_exec_is_killed(name: str, told: signal.Handlers) -> None:
    run = [_WELLHEAD, "exec", "--name", name, "client", "--", "sh", "-c", "echo ready; exec sleep 1000"]

    def begin() -> None:
        signal.signal(signal.SIGHUP, told)

    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, preexec_fn=begin) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        assert process.stdout.read() == ""  # nobody holds the other end


def test_a_command_begins_with_signals_as_if_nobody_had_said_anything(name: str) -> None:
    def begin() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})

    run = [_WELLHEAD, "exec", "--name", name, "client", "--", "grep", "-E", "Sig(Ign|Blk)"]
    done = subprocess.run(
        [*run, "/proc/self/status"], preexec_fn=begin, capture_output=True, text=True, check=True
    )
    assert {int(line.split()[1], 16) for line in done.stdout.splitlines()} == {0}


def test_a_cluster_is_not_managed_from_inside(name: str) -> None:
    run = [_WELLHEAD, "exec", "--name", name, "client", "--", _WELLHEAD, "down", "--name", name]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this is a shell on client" in done.stderr
