"""Read, write and wait on any file descriptor (pidfd, pipe, terminal, fifo) from the event loop."""

from __future__ import annotations

import asyncio
import os


async def readable(fd: int) -> None:
    """Wait until the descriptor is readable (a pidfd: until its process has ended)."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def writable(fd: int) -> None:
    """Wait until the descriptor takes data."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(fd)


async def read(fd: int, size: int = 32768) -> bytes:
    """What there is to read from a non-blocking descriptor, at least a byte; b"" at the end.

    A terminal whose other side has hung up is at its end.
    """
    while True:
        try:
            return os.read(fd, size)
        except BlockingIOError:
            await readable(fd)
        except OSError:  # EIO: the terminal's other side is closed
            return b""


async def read_all(fd: int) -> bytes:
    """What comes from a descriptor up to its end. Closes it."""
    os.set_blocking(fd, False)
    found = bytearray()
    try:
        while data := await read(fd):
            found += data
    finally:
        os.close(fd)
    return bytes(found)


async def write(fd: int, data: bytes) -> None:
    """Write all of `data` to a non-blocking descriptor. Raises OSError, e.g. BrokenPipeError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            await writable(fd)
