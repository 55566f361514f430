"""Components as processes of their own: forks of one that has loaded them, as a cluster's are.

To load a component takes most of a second of a processor's time, and hundreds of tests begin with one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.patience import PATIENCE
from wellhead.lab import spawn
from wellhead.lab.components import PRELOADS
from wellhead.linux import namespaces, signals

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["tests.forks", "wellhead.cli.main", *PRELOADS["apiserver"], *PRELOADS["cloud"], *PRELOADS["proxy"]]
)


class Component:
    """`wellhead ARGV…` in a network namespace; what it prints is appended to `log`."""

    def __init__(self, *argv: str, network: str, log: Path) -> None:
        log.touch()  # who starts it may read it at once
        work = (argv, network, str(log), dict(os.environ))
        self._process = _FORKS.Process(target=_become, args=work, daemon=True)
        self._process.start()

    @property
    def runs(self) -> bool:
        return self._process.is_alive()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self) -> int:
        """Until it has ended; its exit status, or minus the signal that ended it."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, "it goes on"
        return self._process.exitcode


def _become(argv: tuple[str, ...], network: str, log: str, environment: Mapping[str, str]) -> None:
    signals.reset_python()
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    namespace = os.open(network, os.O_RDONLY)
    namespaces.setns(namespace, namespaces.CLONE_NEWNET)
    os.close(namespace)
    spawn.wellhead(argv)
