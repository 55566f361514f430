"""Running skopeo, umoci and zstd on what strangers made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from wellhead.images import confined
from wellhead.images.bounds import ImageError

_CSI = re.compile(r"\x1b\[[0-9;]*m")
_PANIC = re.compile(r"^panic: .*", re.MULTILINE)
_PRINTED_MAX = 8 << 20  # bytes
_SAID_MAX = 64 << 10  # bytes
_BULLETS = " \u2022\u2a2f"
_LOGGED = re.compile(r'^time="[^"]*" level=\w+ msg="(.*)"$')


class Stop:
    """A word from another thread to whoever runs programs one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._set = False

    def set(self) -> None:
        """End the program that runs, and let none begin."""
        with self._lock:
            self._set = True
            if self._process is not None:
                self._process.kill()

    def check(self) -> None:
        """Raises ImageError if the word was given."""
        if self._set:
            raise ImageError("it was stopped")

    def _runs(self, process: subprocess.Popen[bytes] | None) -> None:
        with self._lock:
            self._process = process
            if process is not None and self._set:
                process.kill()


@dataclass(frozen=True)
class Network:
    """The network namespace of a program, by its descriptor, and the proxy that is its only way out."""

    descriptor: int
    proxy: str
    stop: Stop
    passed: tuple[int, ...] = ()
    """Further descriptors that the program gets."""


def run(work: Path, limit: int, *program: str, network: Network | None = None) -> bytes:
    """Run a program that can write to `work` alone, and no file there beyond `limit` bytes: what it prints.

    Without `network` it has none.

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
    passed: tuple[int, ...] = ()
    if network is not None:
        network.stop.check()
        passed = network.descriptor, *network.passed
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            environment |= dict.fromkeys((name, name.lower()), network.proxy if name != "NO_PROXY" else "")
    output = work / ".output"
    with (
        output.open("w+b") as out,
        subprocess.Popen(
            confined.command(work, limit, list(program), network.descriptor if network else -1),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            pass_fds=passed,
        ) as process,
    ):
        try:
            if network is not None:
                network.stop._runs(process)
            problem = _bounded(process)
        except BaseException:
            process.kill()
            raise
        finally:
            if network is not None:
                network.stop._runs(None)
        out.seek(0)
        printed = out.read(_PRINTED_MAX + 1)
    output.unlink()
    if network is not None:
        network.stop.check()
    if process.returncode:
        raise ImageError(f"{program[0]}: {_reason(problem, work)}")
    if len(printed) > _PRINTED_MAX:
        raise ImageError(f"{program[0]} prints more than {_PRINTED_MAX} bytes")
    return printed


def _bounded(process: subprocess.Popen[bytes]) -> str:
    """What a program says until it ends: the beginning and the end of it."""
    assert process.stderr is not None
    said = b""
    while data := process.stderr.read1(1 << 16):  # type: ignore[attr-defined]
        said += data
        if len(said) > 2 * _SAID_MAX:
            said = said[:_SAID_MAX] + said[-_SAID_MAX:]
    process.wait()
    return said.decode(errors="replace")


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
