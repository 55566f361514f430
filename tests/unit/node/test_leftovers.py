"""What a container leaves running in a process namespace that isn't its own."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from wellhead.linux import namespaces
from wellhead.node.runtime import leftovers


def test_who_is_in_its_mount_namespace_is_ended_and_nobody_else(tmp_path: Path) -> None:
    command = ["unshare", "--mount", "sh", "-c", "sleep 1000 & echo; exec sleep 1000"]
    other = subprocess.Popen(["sleep", "1000"])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        leftovers.note(tmp_path, first.pid)
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        leftovers.end(tmp_path)
        assert first.stdout.read() == b""  # nobody has it open any more
    assert other.poll() is None
    assert namespaces.identity(f"/proc/{other.pid}/ns/mnt") is not None
    other.kill()
    other.wait()
    leftovers.end(tmp_path)  # and again, with nothing left to do
