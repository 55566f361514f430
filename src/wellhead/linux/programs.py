"""Start a program from the event loop, at a cost that doesn't depend on how large we are.

The event loop's own way (uvloop's, by libuv) is fork(2): it copies the page tables, and each page that we
write to meanwhile. `subprocess` has vfork(2), which copies nothing: we stand still for the millisecond until
the program has begun.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Collection, Mapping
from typing import NamedTuple

from wellhead.linux import descriptors


class Program:
    """A program that runs, a child of ours that is reaped whether or not somebody waits for it."""

    def __init__(self, process: subprocess.Popen[bytes], pidfd: int) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._pidfd = pidfd
        self._ended: asyncio.Future[int] = loop.create_future()
        loop.add_reader(pidfd, self._reap)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._ended.done()

    async def wait(self) -> int:
        """Its exit code, once it has ended; -N after signal N."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """Send it SIGKILL. Nothing if it has ended."""
        self._process.kill()

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()  # at once
        if not self._ended.done():
            self._ended.set_result(code)


def start(
    *command: str,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    pass_fds: Collection[int] = (),
    env: Mapping[str, str] | None = None,
    new_session: bool = False,
) -> Program:
    """Start a program with these descriptors. They stay open here. Raises OSError: it can't be started."""
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(pass_fds),
        env=env,
        start_new_session=new_session,
    )
    try:
        return Program(process, os.pidfd_open(process.pid))
    except OSError:  # too many descriptors are open
        process.kill()
        process.wait()
        raise


class Done(NamedTuple):
    """How a program has ended, and what it said on its standard output and error."""

    code: int
    output: bytes
    errors: bytes


async def run(*command: str, stdin: int = subprocess.DEVNULL) -> Done:
    """Run a program to its end, which is at once if this is cancelled. Raises OSError: there is none."""
    (out, child_out), (err, child_err) = os.pipe(), os.pipe()
    try:
        program = start(*command, stdin=stdin, stdout=child_out, stderr=child_err)
    except BaseException:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(child_out)
        os.close(child_err)
    try:
        output, errors = await asyncio.gather(descriptors.read_all(out), descriptors.read_all(err))
        return Done(await program.wait(), output, errors)
    except asyncio.CancelledError:
        program.kill()
        await program.wait()
        raise
