"""A machine of a cluster, or the client outside of it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellhead.clusters import commands

if TYPE_CHECKING:
    from wellhead.clusters.cluster import Cluster

_TIMEOUT = 60.0
_WELLHEAD = (sys.executable, "-P", "-m", "wellhead.cli.main")
_CURL = ("curl", "-sS", "--fail-with-body", "--noproxy", "*")
_SEEN = re.compile(r"^client_address=(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """What was asked last, and from where: what a trace follows once more when a test has failed."""

    host: str
    url: str


class Host:
    """Where commands run: `client`, `edge`, `cloud`, `control-plane`, `node-1`, …"""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def __repr__(self) -> str:
        return f"<Host {self.name} of {self.cluster.name}>"

    def run(
        self, *command: str, stdin: str | None = None, check: bool = True, timeout: float = _TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host's network, with kubectl and a KUBECONFIG that works there, to its end.

        Raises:
            CommandFailed: it exited with another code than 0, and `check`; shows what it printed.
            subprocess.TimeoutExpired: it took more than `timeout` seconds, and was killed.
        """
        return self._run(command, stdin=stdin, check=check, timeout=timeout)

    @contextmanager
    def running(self, *command: str, ready: str = "") -> Iterator[subprocess.Popen[str]]:
        """A command that runs in the host's network meanwhile, and has printed the line `ready` before.

        At the end it gets SIGTERM. Raises CommandFailed: it ended before it was ready.
        """
        line = ["exec", "--name", self.cluster.name, self.name, "--", *command]
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([*_WELLHEAD, *line], **how) as process:
            try:
                if ready and not any(said.strip() == ready for said in process.stdout or ()):
                    raise commands.CommandFailed(process.wait(), ["wellhead", *line])
                yield process
            finally:
                process.terminate()

    def curl(self, url: str, *options: str, seconds: float = 5.0) -> str:
        """What the server at `url` answers, within so many seconds.

        Raises NoAnswer: none, or a status of 400 and more; shows what curl says.
        """
        self.cluster.last_request = Request(self.name, url)
        command = (*_CURL, "--max-time", str(seconds), *options, url)
        limit = seconds + _TIMEOUT
        return self._run(command, stdin=None, check=True, timeout=limit, error=commands.NoAnswer).stdout

    def seen_as(self, url: str, *options: str, seconds: float = 5.0) -> str:
        """The address that the server at `url`, an echoserver, saw this host's request come from.

        Raises NoAnswer: there was none, or it doesn't say.
        """
        answer = self.curl(url, *options, seconds=seconds)
        found = _SEEN.search(answer)
        if found is None:
            raise commands.NoAnswer(0, ("curl", url), answer, "no line client_address=… is in the answer")
        return found[1]

    def _run(
        self,
        command: tuple[str, ...],
        *,
        stdin: str | None,
        check: bool,
        timeout: float,
        error: type[commands.CommandFailed] = commands.CommandFailed,
    ) -> subprocess.CompletedProcess[str]:
        line = ["exec", "--name", self.cluster.name, self.name, "--", *command]
        return commands.run(
            [*_WELLHEAD, *line],
            stdin=stdin,
            check=check,
            timeout=timeout,
            error=error,
            shown=("wellhead", *line),
        )
