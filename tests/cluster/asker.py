"""Asks an echoserver from a host or a pod, again and again, without starting a command there each time."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.cluster.lab import BIN, Lab, Obj, client_address

_CURL = "curl -sS --max-time $seconds --noproxy '*'"
# Not `wget -T`, whose status doesn't tell silence from a refusal.
_WGET = "timeout $seconds wget -qO -"
_LOOP = """while read -r seconds url; do {} "$url" 2>&1; printf '\\nexit %s\\n' $?; done"""


@dataclass(frozen=True)
class Answer:
    """What the server sees as the client (None: nobody answered), and how curl or wget ended."""

    client: str | None
    status: int


class Askers:
    """A shell on each host and in each pod that was asked from; use as a context manager, which ends them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._shells: dict[tuple[str, ...], subprocess.Popen[str]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for shell in self._shells.values():
            shell.terminate()
        self._stack.close()

    def on(self, host: str, url: str, seconds: int = 2) -> Answer:
        """Ask with curl on a host."""
        command = ("wellhead", "exec", "--name", self._lab.name, host, "--", "sh", "-c", _LOOP.format(_CURL))
        return self._ask(command, f"{seconds} {url}")

    def within(self, pod: Obj, url: str, container: str = "main", seconds: int = 2) -> Answer:
        """Ask with wget in a busybox container."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        exec_in = (
            "exec",
            "-i",
            "-n",
            namespace,
            name,
            "-c",
            container,
            "--",
            "sh",
            "-c",
            _LOOP.format(_WGET),
        )
        return self._ask(("kubectl", "--kubeconfig", self._lab.kubeconfig, *exec_in), f"{seconds} {url}")

    def _ask(self, command: tuple[str, ...], question: str) -> Answer:
        shell = self._shells.get(command) or self._start(command)
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(f"{question}\n")
        shell.stdin.flush()
        lines = []
        while not (line := shell.stdout.readline()).startswith("exit "):
            assert line, f"{command} has ended"
            lines.append(line)
        return Answer(client_address("".join(lines)), int(line.split()[1]))

    def _start(self, command: tuple[str, ...]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        shell = subprocess.Popen([str(BIN / command[0]), *command[1:]], stdin=pipe, stdout=pipe, text=True)
        self._shells[command] = self._stack.enter_context(shell)
        return shell
