"""A real supervisor of small components (fake_supervisor.py), and questions to ask it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE, until
from wellhead.lab import api_socket, logs, processes, state, teardown, title
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.processes import Process
from wellhead.lab.state import ComponentState, Snapshot

_PROGRAM = Path(__file__).parent / "fake_supervisor.py"

SLEEPER = ["node-1", "sleeper", ["sleep"], None]
SERVER = ["control-plane", "server", ["serve"], "api socket"]


class Supervised:
    """A cluster with a supervisor of small components."""

    def __init__(self, cluster: Cluster, components: list[Any], nodes: int = 1) -> None:
        self.cluster = cluster
        self._supervisors: list[subprocess.Popen[bytes]] = []
        with api_socket.choose() as listener:
            self.port = listener.getsockname()[1]
            self.write(components, nodes)
            self.start(listener)

    def write(self, components: list[Any], nodes: int = 1) -> None:
        (self.cluster.directory / "components.json").write_text(json.dumps(components))
        self.cluster.write_spec(
            ClusterSpec(name=self.cluster.name, nodes=nodes, proxy_mode="iptables", api_port=self.port)
        )

    def start(self, listener: socket.socket | None = None) -> None:
        marks = {
            processes.CLUSTER: self.cluster.name,
            processes.COMPONENT: processes.SUPERVISOR,
            title.PADDING_VARIABLE: title.PADDING,
        }
        descriptor = listener.fileno() if listener else -1
        output = logs.open_for_append(self.cluster.supervisor_log)
        argv = [sys.executable, str(_PROGRAM), self.cluster.name, str(self.cluster.root)]
        argv += [str(descriptor), "-1"]
        self._supervisors.append(
            subprocess.Popen(
                [*argv, title.PADDING],
                env=os.environ | marks,
                pass_fds=(descriptor,) if listener else (),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )
        os.close(output)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """End the supervisor, and with SIGKILL its guardian at the same moment; and reap it."""
        if signum == signal.SIGKILL:
            self._supervisors[-1].send_signal(signal.SIGSTOP)  # so that it doesn't make another
            processes.end(self.called(processes.GUARDIAN))
        self._supervisors[-1].send_signal(signum)
        self._supervisors[-1].wait(PATIENCE)

    def called(self, component: str) -> list[Process]:
        """The processes that are this component."""
        return [each for each in processes.find(self.cluster.name) if each.component == component]

    def tell(self, signum: int) -> None:
        self._supervisors[-1].send_signal(signum)

    def close(self) -> None:
        teardown.remove(self.cluster)
        for supervisor in self._supervisors:
            with contextlib.suppress(ProcessLookupError):
                supervisor.kill()
            supervisor.wait(PATIENCE)

    def until(self, condition: Callable[[Snapshot], bool], patience: float = PATIENCE) -> Snapshot:
        """The first state that meets the condition."""
        try:
            found = until(
                lambda: state.ask(self.cluster.supervisor_socket),
                lambda found: found is not None and condition(found),
                seconds=patience,
            )
        except AssertionError as error:
            log = "\n".join(logs.tail(self.cluster.supervisor_log, 30))
            raise AssertionError(f"{error}\n{log}") from None
        assert found is not None
        return found

    def running(self) -> Snapshot:
        return self.until(lambda snapshot: all(c.pid for c in snapshot.components))

    def ask_server(self) -> bytes:
        """What the component that serves the API socket says."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            return connection.recv(100)


def component(snapshot: Snapshot, name: str) -> ComponentState:
    (found,) = [each for each in snapshot.components if each.name == name]
    return found


Supervise = Callable[..., Supervised]
