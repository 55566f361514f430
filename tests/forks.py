"""`wellhead` commands as processes of their own: forks of one that has loaded them, as a cluster's parts are.

To load one takes most of a second of a processor's time, and hundreds of tests begin with one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

from tests.patience import PATIENCE
from wellhead.lab import spawn
from wellhead.lab.components import PRELOADS
from wellhead.linux import namespaces, signals

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "tests.forks",
        "wellhead.cli.main",
        *PRELOADS["apiserver"],
        *PRELOADS["cloud"],
        *PRELOADS["proxy"],
        "wellhead.cli.trace",
    ]
)


class Component:
    """`wellhead ARGV…` in a network namespace; what it prints is appended to `log`."""

    def __init__(
        self, *argv: str, network: str = "/proc/self/ns/net", log: Path, errors: Path | None = None
    ) -> None:
        log.touch()  # who starts it may read it at once
        work = (argv, network, (str(log), str(errors or log)), dict(os.environ))
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

    def wait(self, seconds: float = PATIENCE) -> int:
        """Until it has ended; its exit status, or minus the signal that ended it."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, "it goes on"
        return self._process.exitcode


def run(*argv: str, seconds: float) -> CompletedProcess[str]:
    """`wellhead ARGV…`, with its exit status and what it printed."""
    with tempfile.TemporaryDirectory() as directory:
        output, errors = Path(directory, "output"), Path(directory, "errors")
        errors.touch()
        process = Component(*argv, log=output, errors=errors)
        try:
            status = process.wait(seconds)
        finally:
            process.kill()
        return CompletedProcess(argv, status, output.read_text(), errors.read_text())


def _become(
    argv: tuple[str, ...], network: str, files: tuple[str, str], environment: Mapping[str, str]
) -> None:
    signals.reset_python()
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        output = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(output, number)
        os.close(output)
    namespace = os.open(network, os.O_RDONLY)
    namespaces.setns(namespace, namespaces.CLONE_NEWNET)
    os.close(namespace)
    spawn.wellhead(argv)
