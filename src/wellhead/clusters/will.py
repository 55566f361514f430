"""What happens to a cluster whose program is no more: it goes.

A shell waits for the end of a pipe that the program holds. It comes with the program's end, also by kill -9;
then the shell becomes `wellhead down`. A word through the pipe before that, and it just ends.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

_SCRIPT = 'read -r word && exit 0; exec "$@"'


class Will:
    """That a cluster is removed when this process has ended, until it is revoked."""

    def __init__(self, name: str) -> None:
        down = [sys.executable, "-P", "-m", "wellhead.cli.main", "down", "--name", name]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, f"wellhead: {name} goes with its program", *down],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path("/"),
            start_new_session=True,  # Ctrl-C is its program's
        )

    def revoke(self) -> None:
        """Let it be: the cluster is gone, or is to stay."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(b"done\n")
            self._process.stdin.close()
        self._process.wait()
