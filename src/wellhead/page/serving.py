"""The page as a process: bound, served, and ended by a signal without a word."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator

from aiohttp import web

from wellhead.ip import IPAddress, family_of
from wellhead.page.guard import Guard, new_token
from wellhead.page.model import Model
from wellhead.page.server import application

FIRST_PORT, LAST_PORT = 8410, 8429
_ENDING = (signal.SIGINT, signal.SIGTERM)
_LAST_SECONDS = 2.0  # for what is being answered when it ends


class CannotListen(Exception):
    """The address or port can't be had; the message says why."""


def bind(address: IPAddress, port: int | None) -> socket.socket:
    """A socket that listens; without `port`, at the first free one of ours, or any. Raises CannotListen."""
    wanted = [port] if port is not None else [*range(FIRST_PORT, LAST_PORT + 1), 0]
    for each in wanted:
        sock = socket.socket(family_of(address).number, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((str(address), each))
            sock.listen(128)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE and each != wanted[-1]:
                continue
            if error.errno == errno.EADDRINUSE:
                raise CannotListen(
                    f"port {each} of {address} is taken: give another one by --port, or none"
                ) from None
            raise CannotListen(f"{address} port {each}: {error.strerror}") from None
        return sock
    raise AssertionError


async def serve(model: Model, sock: socket.socket, announce: Callable[[Guard], None]) -> None:
    """Serve until a signal says that it is enough. `announce` is told when it can be opened.

    Raises NoSource: there are no objects to be had.
    """
    with sock, quiet_end() as ended:
        async with model.following():
            host, port = sock.getsockname()[:2]
            guard = Guard(new_token(), _address(host), port)
            runner = web.AppRunner(
                application(model, guard),
                access_log=None,
                shutdown_timeout=_LAST_SECONDS,
                handler_cancellation=True,
            )
            await runner.setup()
            try:
                await web.SockSite(runner, sock).start()
                announce(guard)
                await ended.wait()
            finally:
                model.streams.end()
                await runner.cleanup()


def _address(text: str) -> IPAddress:
    from ipaddress import ip_address

    return ip_address(text)


@contextlib.contextmanager
def quiet_end() -> Iterator[asyncio.Event]:
    """An event that a signal sets: Ctrl-C, `kill`, and the end of the terminal, if nohup didn't say
    otherwise."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    handled = list(_ENDING)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        handled.append(signal.SIGHUP)
    for each in handled:
        with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(each, event.set)
    try:
        yield event
    finally:
        for each in handled:
            with contextlib.suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(each)


def run(model: Model, sock: socket.socket, announce: Callable[[Guard], None]) -> None:
    """`serve`, in a loop of its own."""
    for each in ("aiohttp", "wellhead.client"):  # what goes on with the cluster is said in the page
        logging.getLogger(each).setLevel(logging.ERROR)
    asyncio.run(serve(model, sock, announce))
