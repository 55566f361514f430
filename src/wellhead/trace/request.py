"""The one real request that is followed. Blocks, but never longer than it is told."""

from __future__ import annotations

import errno
import http.client
import os
import select
import socket
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from wellhead.ip import IPAddress, family_of
from wellhead.trace.observer import CannotWatch, inside
from wellhead.trace.places import Place
from wellhead.trace.token import HEADER, Token

_SLICE = 0.02  # seconds between two looks at whether waiting is still worth it
_MOST = 1 << 20  # bytes of an answer


class How(StrEnum):
    """What is sent once the server can be reached."""

    TCP = "tcp"
    """The connection alone."""
    HTTP = "http"
    UDP = "udp"


class Ended(StrEnum):
    """How the request ended, as the client saw it."""

    ANSWERED = "answered"
    """Connected, for TCP alone."""
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    SILENT = "silent"


class Answer(NamedTuple):
    """What the client got."""

    ended: Ended
    body: str = ""
    """Of HTTP and UDP."""
    status: int = 0
    """Of HTTP."""
    source: tuple[str, int] = ("", 0)
    """The client's own address and port."""
    said: str = ""
    """The error, in the system's words."""


_REFUSED = (errno.ECONNREFUSED, errno.ECONNRESET)
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL)


def send(
    client: Place,
    to: tuple[IPAddress, int],
    how: How,
    token: Token,
    *,
    host: str = "",
    path: str = "/",
    seconds: float = 3.0,
    hopeless: Callable[[], bool] = lambda: False,
) -> Answer:
    """Send it from `client`. `hopeless` is asked now and then whether nothing can come any more.

    Raises:
        CannotWatch: there is no such place, or no right to choose a sequence number in it.
    """
    address, port = to
    family = family_of(address).number
    kind = socket.SOCK_DGRAM if how is How.UDP else socket.SOCK_STREAM
    sock = inside(client, lambda: socket.socket(family, kind))
    deadline = time.monotonic() + seconds
    with sock:
        sock.setblocking(False)
        if how is not How.UDP:
            try:
                token.choose(sock)
            except PermissionError as error:
                raise CannotWatch(f"{client.name}: a sequence number can't be chosen here: {error}") from None
        try:
            _wait(sock, sock.connect_ex((str(address), port)), deadline, hopeless)
            source = sock.getsockname()[:2]
            if how is How.TCP:
                return Answer(Ended.ANSWERED, source=source)
            sock.settimeout(max(_SLICE, deadline - time.monotonic()))
            if how is How.UDP:
                sock.send(f"{token.text} wellhead trace\n".encode())
                sock.setblocking(False)
                _readable(sock, deadline, hopeless)
                return Answer(Ended.ANSWERED, sock.recv(_MOST).decode(errors="replace"), source=source)
            status, body = _http(sock, host or str(address), path, token)
            return Answer(Ended.ANSWERED, body, status, source)
        except TimeoutError:
            return Answer(Ended.SILENT, source=sock.getsockname()[:2], said="no answer")
        except http.client.HTTPException as error:
            said = f"no HTTP answer: {type(error).__name__} {error}".strip()
            return Answer(Ended.ANSWERED, source=source, said=said)
        except OSError as error:
            own = sock.getsockname()[:2]
            said = error.strerror or str(error)
            if error.errno in _REFUSED:
                return Answer(Ended.REFUSED, source=own, said=said)
            if error.errno in _UNREACHABLE:
                return Answer(Ended.UNREACHABLE, source=own, said=said)
            return Answer(Ended.SILENT, source=own, said=said)


def _http(sock: socket.socket, host: str, path: str, token: Token) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host)
    connection.sock = sock
    connection.request("GET", path, headers={HEADER: token.text, "Connection": "close"})
    response = connection.getresponse()
    return response.status, response.read(_MOST).decode(errors="replace")


def _wait(sock: socket.socket, code: int, deadline: float, hopeless: Callable[[], bool]) -> None:
    """Until the socket is connected. Raises OSError, TimeoutError."""
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    while not select.select([], [sock], [], _SLICE)[1]:
        if time.monotonic() > deadline or hopeless():
            raise TimeoutError
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))


def _readable(sock: socket.socket, deadline: float, hopeless: Callable[[], bool]) -> None:
    while not select.select([sock], [], [], _SLICE)[0]:
        if time.monotonic() > deadline or hopeless():
            raise TimeoutError
