"""The GETs of probes and hooks, as the kubelet sends them: its headers, its redirects, its words for errors.

Source: pkg/probe/http/{http,request}.go of v1.37, and net/http of Go, whose errors people know.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from wellhead.api.meta import Obj
from wellhead.ip import bracketed

VERSION = "1.37"
_BODY_SHOWN = 10 << 10
_REDIRECTS = 10
_LARGEST_HEADER = 1 << 20
_MOVED = (301, 302, 303, 307, 308)
# Neither brings its own: what isn't said in the action isn't sent.
_NO_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")
_ALLOWED = "/:@!$&'()*+,;=-._~[]"
# What OpenSSL says when the answer to its greeting isn't TLS, as Go looks at the first bytes for.
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}


class UnknownPort(ValueError):
    """A probe or hook names a port that the container doesn't declare."""


class RequestFailed(Exception):
    """There was no answer; the message is Go's. `plain`: an HTTPS request was answered in HTTP."""

    def __init__(self, message: str, *, plain: bool = False) -> None:
        super().__init__(message)
        self.plain = plain


@dataclass(frozen=True)
class Request:
    """A GET. Several headers of one name are all sent."""

    url: URL
    headers: CIMultiDict[str]

    def in_plain_http(self) -> Request:
        """The same without TLS, and so without what was for the server alone."""
        headers = self.headers.copy()
        headers.popall("Authorization", None)
        return Request(self.url.with_scheme("http"), headers)


@dataclass(frozen=True)
class Answer:
    """The last answer, with the beginning of its body: of a redirect to another host, the redirect."""

    status: int
    body: str


def session() -> aiohttp.ClientSession:
    """For probes and hooks: every request on a connection of its own, nobody's certificate checked."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False, force_close=True, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        max_line_size=_LARGEST_HEADER,
        max_field_size=_LARGEST_HEADER,
    )


def port_number(port: int | str, container: Obj) -> int:
    """A port given by number or by a name that the container declares. Raises UnknownPort."""
    if isinstance(port, int) or port.isdecimal():
        return int(port)
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise UnknownPort(f"couldn't find port: {port} in {container['name']}")


def authority(host: str, port: int) -> str:
    """HOST:PORT, with brackets for IPv6."""
    return f"{bracketed(host)}:{port}"


def request(action: Obj, container: Obj, ip: str, agent: str) -> Request:
    """The request of an httpGet action; `agent` is what the User-Agent says it is. Raises UnknownPort."""
    scheme = str(action.get("scheme") or "HTTP").lower()
    where = authority(str(action.get("host") or ip), port_number(action["port"], container))
    headers: CIMultiDict[str] = CIMultiDict()
    for each in action.get("httpHeaders") or ():
        headers.add(each["name"], each.get("value") or "")
    for name, value in (("User-Agent", f"kube-{agent}/{VERSION}"), ("Accept", "*/*")):
        if name not in headers:
            headers[name] = value
        elif not headers[name]:  # said to be nothing: then it isn't sent
            del headers[name]
    path = str(action.get("path") or "/")
    url = f"{scheme}://{where}{_escaped(path if path.startswith('/') else '/' + path)}"
    return Request(URL(url, encoded=True), headers)


async def get(http: aiohttp.ClientSession, first: Request) -> Answer:
    """Send a request, and follow its answers' redirects to the same host.

    Raises:
        RequestFailed: no answer, or too many redirects.
        TimeoutError: not within the time that the caller allows.
    """
    url = first.url
    for _ in range(_REDIRECTS):
        answer, location = await _once(http, url, first.headers)
        if location is None or location.host != first.url.host:
            return answer
        url = location
    raise RequestFailed(f'Get "{url}": stopped after {_REDIRECTS} redirects')


async def _once(
    http: aiohttp.ClientSession, url: URL, headers: CIMultiDict[str]
) -> tuple[Answer, URL | None]:
    """An answer, and where it says to go instead."""
    try:
        async with http.get(
            url, headers=headers, skip_auto_headers=_NO_AUTO_HEADERS, allow_redirects=False
        ) as response:
            try:
                body = await response.content.readexactly(_BODY_SHOWN)
            except asyncio.IncompleteReadError as whole:
                body = whole.partial
            location = response.headers.get("Location") if response.status in _MOVED else None
            answer = Answer(response.status, body.decode(errors="replace"))
            return answer, url.join(URL(location)) if location else None
    except TimeoutError:
        raise
    except aiohttp.ClientConnectorError as error:
        raise _no_connection(url, error.os_error) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise RequestFailed(f'Get "{url}": {_words(error)}') from error


def _no_connection(url: URL, error: OSError) -> RequestFailed:
    if isinstance(error, ssl.SSLError):
        plain = error.reason in _NOT_TLS
        why = "http: server gave HTTP response to HTTPS client" if plain else f"tls: {error.reason}"
        return RequestFailed(f'Get "{url}": {why}', plain=plain)
    if isinstance(error, socket.gaierror):
        return RequestFailed(f'Get "{url}": dial tcp: lookup {url.host}: no such host')
    return RequestFailed(f'Get "{url}": dial tcp {url.host_port_subcomponent}: connect: {reason(error)}')


def reason(error: OSError) -> str:
    """What Go says of a system call's error."""
    if error.errno is None:
        return str(error)
    text = os.strerror(error.errno)
    return text[:1].lower() + text[1:]


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        if isinstance(error.message, str):
            return "EOF"
        return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    if isinstance(error, aiohttp.ClientResponseError):
        return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    if isinstance(error, OSError):
        return f"read: {reason(error)}"
    if isinstance(error, ValueError):
        return f"net/http: invalid request: {error}"
    return str(error) or type(error).__name__


def _escaped(path: str) -> str:
    """A path with what may not stand in a request's first line written as percent signs."""
    path, hash_, _ = path.partition("#")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path) or not path.isprintable():
        return quote(path + hash_, safe=_ALLOWED)  # no URL: all of it is the path
    return quote(path, safe=_ALLOWED + "?%")
