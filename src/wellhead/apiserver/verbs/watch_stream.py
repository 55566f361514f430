"""The answer to a watch: lines of a body that goes on, or messages of a WebSocket."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence

from aiohttp import web

from wellhead.api.errors import ApiError, NotAcceptable
from wellhead.api.meta import Obj
from wellhead.apiserver.answers import partial_metadata, table
from wellhead.apiserver.call import Call
from wellhead.apiserver.negotiation import JSON, Format
from wellhead.apiserver.protobuf.encoding import encode_event
from wellhead.apiserver.protobuf.messages import PROTOBUF
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.websockets import wanted, websocket_protocols
from wellhead.storage.encoding import decode, encode_json
from wellhead.storage.event_log import EventType, Item
from wellhead.waiting import first_of

CHUNK = 64 * 1024  # bytes


class Stream:
    """The answer to a watch, event by event."""

    content_type = JSON

    def __init__(self, call: Call, registry: Registry, form: Format) -> None:
        self._call = call
        self._registry = registry
        self._form = form
        self._columns_sent = False
        self.known = 0
        """Of what happened up to this revision, the client asked for nothing, or for what exists."""
        self.response: web.StreamResponse = web.StreamResponse(
            headers={"Content-Type": self.content_type, "Cache-Control": "no-cache, private"}
        )

    async def open(self) -> None:
        """Send the head now: it tells the client that the watch stands, long before a first event."""
        self.response.enable_chunked_encoding()
        await self.response.prepare(self._call.http)
        await self.response.write(b"")

    async def line(self, data: bytes) -> None:
        """Send one event that is whole."""
        await self.response.write(data + b"\n")

    async def event(self, seen_as: str, obj: Obj) -> None:
        """Send one event of an object that isn't stored."""
        await self.line(encode_json({"type": seen_as, "object": obj}))

    async def during(self, events: Coroutine[None, None, None]) -> None:
        """While events are passed on."""
        await events

    async def refuse(self, error: ApiError) -> web.StreamResponse:
        """Nothing but an error."""
        await self.open()
        await self.event("ERROR", error.status)
        await self.close()
        return self.response

    async def events(self, events: Iterable[tuple[EventType, Item]]) -> None:
        """Send these events, in chunks: of a large object, each is a view of the bytes that all share."""
        events = await self._prepared(events)
        pieces: list[bytes] = []
        size = 0
        for seen_as, item in events:
            data = self._data(item)
            if size + len(data) > CHUNK:
                await self.response.write(b"".join(pieces))
                pieces, size = [], 0
            pieces.append(b'{"type":"%b","object":' % seen_as.encode())
            if len(data) > CHUNK:
                await self.response.write(b"".join(pieces))
                pieces = []
                for start in range(0, len(data), CHUNK):
                    await self.response.write(memoryview(data)[start : start + CHUNK])
            else:
                pieces.append(data)
                size += len(data)
            pieces.append(b"}\n")
        await self.response.write(b"".join(pieces))

    async def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> None:
        """Say that nothing up to `revision` is missing."""
        resource = self._call.resource
        metadata: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj: Obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if self._form.projection == "Table":
            # A row holds the metadata, so that clients find the annotations.
            row = {"cells": [], "object": partial_metadata(obj, self._form)}
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [row] if annotations else [],
            }
        elif self._form.projection:
            obj = partial_metadata(obj, self._form)
        await self.event("BOOKMARK", obj)

    async def close(self) -> None:
        """End the answer as one that is complete."""
        await self.response.write_eof()

    async def _prepared(self, events: Iterable[tuple[EventType, Item]]) -> Sequence[tuple[EventType, Item]]:
        found = list(events)
        await self._registry.prepare(self._call.resource, [item for _, item in found])
        return found

    def _data(self, item: Item) -> bytes:
        """The object in the form that the client asked for."""
        data = self._registry.present(self._call.resource, item)
        if self._form.projection == "Table":
            obj = decode(data)
            result = table(
                self._call.resource, [obj], self._call, self._form, obj["metadata"]["resourceVersion"]
            )
            if self._columns_sent:
                result["columnDefinitions"] = None
            self._columns_sent = True
            data = encode_json(result)
        elif self._form.projection:
            data = encode_json(partial_metadata(decode(data), self._form))
        return data


class _Messages(Stream):
    """The same over a WebSocket: a message for each event, in text. What the client says means nothing."""

    def __init__(self, call: Call, registry: Registry, form: Format) -> None:
        super().__init__(call, registry, form)
        self._socket = web.WebSocketResponse(
            protocols=websocket_protocols(call.http)[:1], timeout=5.0, compress=False
        )
        self.response = self._socket

    async def open(self) -> None:
        await self._socket.prepare(self._call.http)

    async def line(self, data: bytes) -> None:
        await self._socket.send_str(data.decode() + "\n")

    async def events(self, events: Iterable[tuple[EventType, Item]]) -> None:
        for seen_as, item in await self._prepared(events):
            await self.line(b'{"type":"%b","object":%b}' % (seen_as.encode(), self._data(item)))

    async def during(self, events: Coroutine[None, None, None]) -> None:
        await first_of(events, self._until_left())

    async def close(self) -> None:
        await self._socket.close()

    async def _until_left(self) -> None:
        async for _ in self._socket:
            pass


class _Frames(Stream):
    """The same in Protobuf: each event behind its length, of four bytes (apimachinery's framer)."""

    content_type = f"{PROTOBUF};stream=watch"

    async def event(self, seen_as: str, obj: Obj) -> None:
        data = encode_event(seen_as, obj)
        await self.response.write(len(data).to_bytes(4, "big") + data)

    async def events(self, events: Iterable[tuple[EventType, Item]]) -> None:
        for seen_as, item in await self._prepared(events):
            value = decode(self._data(item))
            await self.event(seen_as, value)


def stream_for(call: Call, registry: Registry, form: Format) -> Stream:
    """By how the client wants to hear of it. Raises NotAcceptable: in Protobuf by messages."""
    by_messages = wanted(call.http).lower() == "websocket"
    if form.encoding == "Protobuf":
        if by_messages:
            raise NotAcceptable.accepting((JSON,))
        return _Frames(call, registry, form)
    return _Messages(call, registry, form) if by_messages else Stream(call, registry, form)
