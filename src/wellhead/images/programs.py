"""Running skopeo, umoci and zstd on what strangers made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from wellhead.images import confined
from wellhead.images.bounds import ImageError

_CSI = re.compile(r"\x1b\[[0-9;]*m")
_PANIC = re.compile(r"^panic: .*", re.MULTILINE)
_BULLETS = " \u2022\u2a2f"
_LOGGED = re.compile(r'^time="[^"]*" level=\w+ msg="(.*)"$')


def run(work: Path, limit: int, *program: str) -> None:
    """Run a program that can write to `work` alone, and no file there beyond `limit` bytes.

    Raises:
        ImageError: it is not installed, or failed; the message is its own last line.
    """
    if shutil.which(program[0]) is None:
        raise ImageError(
            f"{program[0]} is not installed: `apt-get install --no-install-recommends {program[0]}`"
        )
    # umoci's own goroutines trip over each other once something fails, and a panic hides what it was.
    environment = os.environ | {
        "TMPDIR": str(work),
        "HOME": str(work),
        "XDG_RUNTIME_DIR": str(work),
        "GOMAXPROCS": "1",
    }
    result = subprocess.run(
        confined.command(work, limit, list(program)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if result.returncode:
        raise ImageError(f"{program[0]}: {_reason(result.stderr.decode(errors='replace'), work)}")


def _reason(output: str, work: Path) -> str:
    text = _CSI.sub("", output)
    if "no space left on device" in text or "ENOSPC" in text:
        return full(work)
    if "file too large" in text:
        return "one file of it is larger than the bound; see --max-size"
    if panic := _PANIC.search(text):
        return panic[0][:1000]
    lines = [stripped for line in text.splitlines() if (stripped := line.strip(_BULLETS))]
    last = lines[-1] if lines else "it was ended by a signal"
    logged = _LOGGED.match(last)
    return (logged[1].replace('\\"', '"') if logged else last)[:1000]


def full(directory: Path) -> str:
    """What is said of a full disk."""
    device = os.statvfs(directory)
    free = device.f_bavail * device.f_frsize / 1e6
    return f"no space left on the disk of {directory.parent} ({free:.0f} MB free); nothing was kept"
