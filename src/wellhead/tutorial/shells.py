"""Interactive shells on a cluster's hosts, on pseudo-terminals, typed into as a person would."""

from __future__ import annotations

import os
import re
import sys
from types import TracebackType
from typing import Self

import pexpect

_PROMPT = "wellhead-is-ready> "
# What terminals are told beside text: colours, cursor queries, bracketed paste.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class ShellError(Exception):
    """A shell did not start, ended, or did not come back to its prompt in time; says what it last printed."""


class Shell:
    """`wellhead shell HOST`, held open."""

    def __init__(self, cluster: str, host: str, timeout: float) -> None:
        self._host = host
        self._inner: str | None = None  # the prompt of a shell inside the shell, while there is one
        command = ["-m", "wellhead.cli.main", "shell", host, "--name", cluster]
        self._terminal: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            command,
            encoding="utf-8",
            codec_errors="replace",
            timeout=timeout,
            dimensions=(50, 250),
            env=os.environ | {"TERM": "dumb"},
            echo=False,
        )
        # Typed before the shell's own prompt is known, hence `$'…'`: the echo of this line isn't the prompt.
        self._terminal.sendline(f"stty -echo; PS2=; PS1=$'\\x77{_PROMPT[1:]}'; unset PROMPT_COMMAND")
        self._wait_for(_PROMPT)

    def run(self, command: str) -> str:
        """Type `command`; what it printed, on both streams, as a terminal shows it."""
        self._terminal.sendline(command)
        return self._wait_for(_PROMPT)

    def enter(self, command: str, prompt: str) -> str:
        """Type `command`, which starts a shell with another `prompt`; what came before that prompt.

        kubectl's own messages arrive around the new shell's first prompt, in either order. So a first command
        in it, whose answer is not its echo, marks where all of that is over.
        """
        self._terminal.sendline(command)
        self._inner = prompt
        output = self._wait_for(prompt)
        self._terminal.sendline("echo entered-$((40 + 2))")
        self._wait_for("entered-42\r\n")
        self._wait_for(prompt)
        return output

    def run_inside(self, command: str) -> str:
        """Type `command` into the inner shell; what it printed, without the echo of the command."""
        if self._inner is None:
            raise RuntimeError("no shell was entered")
        self._terminal.sendline(command)
        _, _, output = self._wait_for(self._inner).partition("\n")
        return output

    def leave(self, command: str) -> str:
        """Type `command`, which ends the inner shell; what was printed until the outer one's prompt."""
        self._inner = None
        _, _, output = self.run(command).partition("\n")
        return output

    def close(self) -> None:
        """End the shell and all that still runs in it."""
        self._terminal.close(force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _wait_for(self, prompt: str) -> str:
        try:
            self._terminal.expect_exact(prompt)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            how = "ended" if isinstance(error, pexpect.EOF) else "did not come back to its prompt"
            last = _plain(self._terminal.before or "").strip() or "nothing"
            raise ShellError(f"the shell on {self._host} {how}; it printed: {last}") from None
        return _plain(self._terminal.before or "")


def _plain(text: str) -> str:
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "")
