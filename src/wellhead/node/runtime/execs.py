"""Run a command in a running container (crun exec), with pipes or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from wellhead.linux import descriptors, programs, trees
from wellhead.linux.programs import Program
from wellhead.node.runtime import terminals
from wellhead.node.runtime.commands import uninterrupted
from wellhead.node.runtime.containers import Runtime, RuntimeFailure

_NOTED_WITHIN = 0.01  # seconds that crun needs at most, once a command runs, to note its number
_OUTPUT_LIMIT = 10_000  # bytes of a probe's or hook's output that anybody ever sees


class Exec:
    """A command in a container. Use as an async context manager; leaving it ends the command.

    With a terminal, its output (both streams, as terminals do) comes from `stdout`, and `stderr` has what
    crun itself has to say.
    """

    def __init__(
        self, runtime: Runtime, id: str, bundle: Path, args: tuple[str, ...], *, tty: bool, stdin: bool
    ) -> None:
        self._runtime = runtime
        self._id = id
        self._bundle = bundle
        self._args = args
        self._tty = tty
        self._want_stdin = stdin
        self._directory: Path | None = None
        self._process: Program | None = None
        self._open: set[int] = set()
        self._said = b""
        self._started = False
        self.stdin = self.stdout = self.stderr = -1

    async def __aenter__(self) -> Self:
        try:
            await self._spawn(await uninterrupted(asyncio.to_thread(self._specification)))
        except BaseException:
            self._close_all()
            await self._clean()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._process
        self._close_all()
        if process is not None and not process.ended:
            if (pid := self._pid()) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            else:
                process.kill()
            await process.wait()
        await self._clean()

    async def read_errors(self) -> bytes:
        """What the command says on `stderr`; b"" at the end.

        What crun says there of a command that it can't start is not the command's: `wait` tells it.
        """
        data = await descriptors.read(self.stderr)
        while data and not self._is_started():
            # Either crun speaks, or the command before crun has noted its number.
            try:
                async with asyncio.timeout(_NOTED_WITHIN):
                    more = await descriptors.read(self.stderr)
            except TimeoutError:
                continue
            if not more:
                if self._is_started():  # the command was quick
                    return data
                self._said = data[:_OUTPUT_LIMIT]
                return b""
            data += more
        return data

    def _is_started(self) -> bool:
        self._started = self._started or self._pid() is not None
        return self._started

    async def write(self, data: bytes) -> None:
        """Give the command input; what it no longer takes is dropped."""
        with contextlib.suppress(OSError):
            await descriptors.write(self.stdin, data)

    def end_input(self) -> None:
        """Say that there is no more input. Nothing on a terminal, where the user types Ctrl-D."""
        if not self._tty and self.stdin in self._open:
            self._close(self.stdin)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the command's terminal."""
        if self._tty and self.stdout in self._open:
            with contextlib.suppress(OSError):  # the command wasn't started
                terminals.set_size(self.stdout, rows, columns)

    async def read_output(self) -> bytes:
        """What comes from `stdout`; b"" at the end."""
        return await descriptors.read(self.stdout)

    async def wait(self) -> int:
        """The command's exit code. Raises RuntimeFailure if it could not be started at all."""
        assert self._process is not None
        code = await self._process.wait()
        if not self._is_started():
            while await self.read_errors():
                pass
            raise RuntimeFailure(_plain(self._said) or f"crun exec: exit code {code}")
        return 128 - code if code < 0 else code

    async def _clean(self) -> None:
        if self._directory is not None:
            await uninterrupted(asyncio.to_thread(trees.delete, self._directory))

    async def _spawn(self, specification: str) -> None:
        if self._tty:
            assert self._directory is not None
            # The terminal itself, not a copy by crun: that loses what a quick command said.
            with terminals.Arrival(self._directory) as arrival:
                nothing = os.open("/dev/null", os.O_RDWR)
                self._start(specification, nothing, nothing, "--console-socket", str(arrival.path))
                assert self._process is not None
                terminal = await arrival.terminal(self._process)
                self.stdin = self.stdout = os.open("/dev/null", os.O_RDONLY) if terminal is None else terminal
        else:
            child_in, self.stdin = os.pipe() if self._want_stdin else (os.open("/dev/null", os.O_RDONLY), -1)
            self.stdout, child_out = os.pipe()
            self._start(specification, child_in, child_out)
        for fd in (self.stdin, self.stdout):
            if fd >= 0:
                self._open.add(fd)
                os.set_blocking(fd, False)

    def _start(self, specification: str, child_in: int, child_out: int, *options: str) -> None:
        """Start crun with these descriptors, which are its own from then on."""
        self.stderr, child_err = os.pipe()
        self._open.add(self.stderr)
        os.set_blocking(self.stderr, False)
        try:
            self._process = programs.start(
                *self._runtime.within(
                    self._id,
                    *("exec", "--pid-file", str(self._pid_file), *options, "--process"),
                    *(specification, self._id),
                ),
                stdin=child_in,
                stdout=child_out,
                stderr=child_err,
                new_session=True,
            )
        except OSError as error:
            raise RuntimeFailure(f"crun: {error.strerror}") from error
        finally:
            for fd in {child_in, child_out, child_err}:
                os.close(fd)

    def _specification(self) -> str:
        """Write the OCI process: the container's own, with another command line. Returns the file's path.

        Raises RuntimeFailure if the container is gone.
        """
        try:
            process = msgspec.json.decode((self._bundle / "config.json").read_bytes())["process"]
            self._directory = Path(tempfile.mkdtemp(prefix="exec-", dir=self._bundle))
        except FileNotFoundError as error:
            raise RuntimeFailure("container not found: it does not run") from error
        except OSError as error:
            raise RuntimeFailure(str(error)) from error
        process |= {"args": list(self._args), "terminal": self._tty}
        if self._tty and not any(each.startswith("TERM=") for each in process["env"]):
            process["env"] = [*process["env"], "TERM=xterm"]
        path = self._directory / "process.json"
        path.write_bytes(msgspec.json.encode(process))
        return str(path)

    @property
    def _pid_file(self) -> Path:
        assert self._directory is not None
        return self._directory / "pid"

    def _pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None

    def _close(self, fd: int) -> None:
        self._open.discard(fd)
        os.close(fd)

    def _close_all(self) -> None:
        for fd in list(self._open):
            self._close(fd)


def _plain(said: bytes) -> str:
    """crun's message without the colours and the time that it adds for a terminal."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode(errors="replace")).strip()
    return re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z: ", "", text)


@dataclass(frozen=True)
class Result:
    """How a command ended and the beginning of what it said."""

    code: int
    output: str


async def run(runtime: Runtime, id: str, bundle: Path, args: tuple[str, ...]) -> Result:
    """Run a command without input to its end. Cancelling this ends the command.

    Raises:
        RuntimeFailure: it could not be started.
    """
    with runtime.operations.measured("exec_sync"):
        return await _run(Exec(runtime, id, bundle, args, tty=False, stdin=False))


async def _run(running: Exec) -> Result:
    async with running as command:
        output = bytearray()

        async def collect(read: Callable[[], Awaitable[bytes]]) -> None:
            while data := await read():
                output.extend(data[: _OUTPUT_LIMIT - len(output)])

        async with asyncio.TaskGroup() as group:
            group.create_task(collect(lambda: descriptors.read(command.stdout)))
            group.create_task(collect(command.read_errors))
        return Result(await command.wait(), output.decode(errors="replace"))
