"""The verbs of the Kubernetes API, for any resource.

An answer that isn't a success raises the `ApiError` subclass that its `Status` names; a server that can't be
reached, or stops answering, raises `ConnectionLost`.
"""

from __future__ import annotations

import random
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import msgspec

from wellhead.api.errors import ApiError
from wellhead.api.forms import Form
from wellhead.api.meta import AnyObj, Obj
from wellhead.api.resource import Resource
from wellhead.client.connection import Connection
from wellhead.client.turns import Turns

PatchKind = Literal["merge", "strategic", "json"]

_PATCH_CONTENT_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
# A watch lives as long as the server lets it; TCP keepalive (below) notices a peer that is gone.
# A server that runs sends a bookmark each minute; one that hangs says nothing, and its kernel keeps us alive.
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=200)
_IDLE_SECONDS = 45.0  # less than the servers' own
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),  # ms, for data sent but not acknowledged
)
_GZIP = zlib.MAX_WBITS + 16  # for zlib
_MOST_DEFLATED = 1032  # times smaller, as much as that can do


class ConnectionLost(OSError):
    """The API server can't be reached, or went away in the middle of an answer."""


@dataclass(frozen=True)
class Event:
    """One line of a watch: `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Any
    """As a dict, or in the form that was asked for."""


@dataclass(frozen=True)
class Listing:
    """A list whose `items` are decoded as they are taken, once: fit for lists of any length."""

    resource_version: str
    items: Iterator[Any]
    """As dicts, or in the form that was asked for."""


class _List(msgspec.Struct):
    metadata: Obj
    items: list[msgspec.Raw] | None = None


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_decode_line = msgspec.json.Decoder(_Line).decode


class Client:
    """One connection pool to one API server. Use as an async context manager."""

    def __init__(self, connection: Connection, user_agent: str) -> None:
        self._connection = connection
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._turns = Turns()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            ssl=self._connection.ssl_context or True,
            limit=0,
            keepalive_timeout=_IDLE_SECONDS,
            socket_factory=_keepalive_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Obj:
        """The object. Raises NotFound."""
        return await self._call("GET", resource.path(namespace, name))

    async def read(self, path: str, query: dict[str, str] | None = None) -> Obj:
        """What a path answers that is no stored object's: discovery, a scale, a metric. Raises ApiError."""
        return await self._call("GET", path, query=query)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Obj:
        """The List object."""
        query = _selectors(label_selector, field_selector)
        answer = await self._call("GET", resource.path(namespace), query=query)
        for item in answer.get("items") or []:
            _complete(item, resource)
        return answer

    async def listing(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        form: type[Form] | None = None,
    ) -> Listing:
        """As `list`, for many objects of which little is to be kept.

        One that isn't of the `form` is given as a dict: who reads it may say what is wrong with it.
        """
        query = _selectors(label_selector, field_selector)
        if resource_version:
            query["resourceVersion"] = resource_version
        found = msgspec.json.decode(
            await self._answer("GET", resource.path(namespace), query=query), type=_List
        )

        def items() -> Iterator[Any]:
            decode = _decoder(form)
            for raw in found.items or ():
                item = decode(raw)
                if isinstance(item, dict):
                    _complete(item, resource)
                yield item

        return Listing(found.metadata["resourceVersion"], items())

    async def create(self, resource: Resource, obj: AnyObj) -> Obj:
        """The object as created. Raises AlreadyExists, Invalid, Forbidden."""
        return await self._call("POST", resource.path(obj["metadata"].get("namespace")), body=obj)

    async def update(self, resource: Resource, obj: AnyObj, subresource: str = "") -> Obj:
        """Replace the object (or its `subresource`). Raises Conflict if its resourceVersion is an old one."""
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource or None)
        return await self._call("PUT", path, body=obj)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
    ) -> Obj:
        """The object as patched. `body` is a dict, or a list of operations for a JSON patch."""
        return await self._call(
            "PATCH",
            resource.path(namespace, name, subresource or None),
            body=body,
            content_type=_PATCH_CONTENT_TYPES[kind],
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Literal["Foreground", "Background", "Orphan"] | None = None,
        grace_period: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Obj:
        """Delete the object: the answer is it (if it goes on existing for a while) or a Status.

        `grace_period` is in seconds. `uid` and `resource_version` are preconditions.
        Raises NotFound, Conflict.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if any(preconditions.values()):
            options["preconditions"] = {name: value for name, value in preconditions.items() if value}
        return await self._call("DELETE", resource.path(namespace, name), body=options)

    async def create_subresource(
        self, resource: Resource, name: str, namespace: str | None, subresource: str, body: Obj
    ) -> Obj:
        """POST to a subresource: pods/binding, pods/eviction, serviceaccounts/token."""
        return await self._call("POST", resource.path(namespace, name, subresource), body=body)

    async def get_subresource(
        self, resource: Resource, name: str, namespace: str | None, subresource: str
    ) -> Obj:
        """What the subresource says: a Scale. Raises NotFound."""
        return await self._call("GET", resource.path(namespace, name, subresource))

    async def resources(self, group: str, version: str) -> Sequence[Obj]:
        """What discovery says of a group's version, subresources too. Raises NotFound."""
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        found: Sequence[Obj] = (await self._call("GET", path)).get("resources") or []
        return found

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
        on_open: Callable[[], None] | None = None,
        form: type[Form] | None = None,
    ) -> AsyncIterator[Event]:
        """Every change after `resource_version`, until the server ends the watch (which is normal).

        Objects are dicts, or in a `form` as in `listing`; a bookmark's is always a dict.

        `on_open` is called once the server has accepted the watch, which may be long before a first event.
        Raises Gone when the server no longer knows what came after that version: list again.
        """
        query = _selectors(label_selector, field_selector)
        query |= {"watch": "true", "resourceVersion": resource_version}
        # The server ends a watch after this many seconds; not all of a process's watches at once.
        query["timeoutSeconds"] = str(random.randint(300, 600))
        if bookmarks:
            query["allowWatchBookmarks"] = "true"
        try:
            async with self._request("GET", resource.path(namespace), query=query, watch=True) as response:
                await _raise_for_status(response)
                if on_open is not None:
                    on_open()
                decode = _decoder(form)
                async for line in _lines(response):
                    event = _decode_line(line)
                    if event.type == "ERROR":
                        raise ApiError.from_status(msgspec.json.decode(event.object))
                    read = msgspec.json.decode if event.type == "BOOKMARK" else decode
                    yield Event(event.type, read(event.object))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"watching {resource.plural}: {_why(error)}") from error

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Obj:
        data = None if body is None else msgspec.json.encode(body)
        answer: Obj = msgspec.json.decode(
            await self._answer(method, path, query=query, data=data, content_type=content_type)
        )
        return answer

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        data: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        try:
            async with (
                self._turns.next(),
                self._request(method, path, query=query, data=data, content_type=content_type) as response,
            ):
                await _raise_for_status(response)
                return await _body(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"{method} {path}: {_why(error)}") from error

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        data: bytes | None = None,
        content_type: str = "application/json",
        watch: bool = False,
    ) -> Any:  # aiohttp's private _RequestContextManager
        if self._session is None:
            raise RuntimeError("a Client is used inside `async with`")
        headers = self._connection.headers()
        if data is not None:
            headers["Content-Type"] = content_type
        if watch:
            headers["Accept-Encoding"] = "identity"
        return self._session.request(
            method,
            self._connection.server + path,
            params=query,
            data=data,
            headers=headers,
            timeout=_WATCH_TIMEOUT if watch else _REQUEST_TIMEOUT,
            server_hostname=self._connection.server_hostname,
        )


def _decoder(form: type[Form] | None) -> Callable[[msgspec.Raw], Any]:
    if form is None:
        return msgspec.json.decode
    formed = msgspec.json.Decoder(form).decode

    def decode(raw: msgspec.Raw) -> Any:
        try:
            return formed(raw)
        except msgspec.ValidationError:
            return msgspec.json.decode(raw)

    return decode


def _keepalive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    for level, option, value in _KEEPALIVE:
        sock.setsockopt(level, option, value)
    return sock


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in selectors.items() if value}


def _complete(item: Obj, resource: Resource) -> None:
    """Upstream leaves these two out of a list's items."""
    item.setdefault("apiVersion", resource.api_version)
    item.setdefault("kind", resource.kind)


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    body = await _body(response)
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = None
    if not (isinstance(status, dict) and status.get("kind") == "Status"):
        text = body[:200].decode(errors="replace").strip() or response.reason or ""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": response.status}
        status |= {
            "reason": "",
            "message": f"{response.method} {response.url.path}: {response.status} {text}",
        }
    raise ApiError.from_status(status)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of an answer. aiohttp would decompress a long one by pieces and join them, in twice the time.

    Raises:
        ConnectionLost: it isn't what its headers say.
    """
    body: bytes = await response.read()
    if not body or response.headers.get("Content-Encoding", "identity") == "identity":
        return body
    # It ends with its length once decompressed (RFC 1952, 2.3.1): so much memory is asked for at once.
    length = min(int.from_bytes(body[-4:], "little"), _MOST_DEFLATED * len(body))
    try:
        return zlib.decompress(body, _GZIP, max(length, 1))
    except zlib.error as error:
        raise ConnectionLost(f"{response.method} {response.url.path}: {error}") from error


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a body of any length; aiohttp's own line reader limits a line's length."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _why(error: Exception) -> str:
    return str(error) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
