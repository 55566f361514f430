"""Running programs, with errors that show what they said."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

_SHOWN = 4000  # characters of an output


class CommandFailed(subprocess.CalledProcessError):
    """A command of a cluster failed. Its text shows what it printed."""

    def __str__(self) -> str:
        parts = ((part or "").strip()[-_SHOWN:] for part in (self.stdout, self.stderr))
        return "\n".join((f"{shlex.join(self.cmd)}: exit code {self.returncode}", *filter(None, parts)))


class NoAnswer(CommandFailed, AssertionError):
    """A request had no answer, or one that says that it failed."""


def run(
    command: Sequence[str],
    *,
    stdin: str | None,
    check: bool,
    timeout: float,
    error: type[CommandFailed] = CommandFailed,
    shown: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; an error shows it as `shown`. Raises CommandFailed, TimeoutExpired."""
    how: dict[str, Any] = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **how)
    if check and done.returncode:
        raise error(done.returncode, shown or done.args, done.stdout, done.stderr)
    return done
