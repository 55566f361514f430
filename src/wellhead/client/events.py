"""Events: what a component tells people about an object.

Recording never blocks and never fails its caller: events are hints, not state. A repeat of an event within
ten minutes raises the count of the one that is there (as client-go's EventCorrelator does).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import msgspec

from wellhead.api.errors import ApiError, NotFound, namespace_ends
from wellhead.api.meta import AnyObj, Obj, now
from wellhead.api.well_known import EVENTS
from wellhead.client.rest import Client, ConnectionLost
from wellhead.text import printable

_log = logging.getLogger(__name__)

_QUEUE_LENGTH = 1000
_REMEMBERED = 4096
_SAME_EVENT_SECONDS = 600.0

EventType = Literal["Normal", "Warning"]
_Identity = tuple[str, str, str, str]  # the object's uid (or namespace/name), type, reason, message


class _Written(msgspec.Struct, frozen=True, gc=False):
    """What is to be known of an event that may be repeated: of thousands, so no more than that."""

    at: float
    namespace: str
    name: str
    count: int


class EventRecorder:
    """Writes Events about objects to the API, in the background and in order."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._reporter = {"reportingComponent": component, "reportingInstance": host}
        self._queue: asyncio.Queue[tuple[_Identity, Obj]] = asyncio.Queue(_QUEUE_LENGTH)
        self._written: OrderedDict[_Identity, _Written] = OrderedDict()  # the oldest first

    def event(
        self,
        obj: AnyObj,
        type: EventType,
        reason: str,
        message: str,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Say `message` about `obj`. Dropped, with a log line, if a thousand others wait to be written."""
        metadata = obj["metadata"]
        reference = {
            "kind": obj["kind"],
            "apiVersion": obj["apiVersion"],
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if namespace := metadata.get("namespace"):
            reference["namespace"] = namespace
        time = now()
        event: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{random.getrandbits(64):016x}",
                # An Event about an object without a namespace lives in "default", as upstream's do.
                "namespace": namespace or "default",
                **({"annotations": dict(annotations)} if annotations else {}),
            },
            "involvedObject": reference,
            "type": type,
            "reason": reason,
            "message": printable(message, lines=True),
            "source": self._source,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            **self._reporter,
        }
        identity = (reference["uid"] or f"{namespace}/{metadata['name']}", type, reason, message)
        try:
            self._queue.put_nowait((identity, event))
        except asyncio.QueueFull:
            _log.warning("event dropped: %s %s: %s", metadata["name"], reason, message)

    async def run(self) -> None:
        """Write events until cancelled. One that the server refuses is logged and given up."""
        while True:
            identity, event = await self._queue.get()
            try:
                await self._write(identity, event)
            except (ApiError, ConnectionLost) as error:
                level = logging.DEBUG if namespace_ends(error) else logging.WARNING
                _log.log(level, "event not written: %s %s: %s", event["reason"], event["message"], error)

    async def _write(self, identity: _Identity, event: Obj) -> None:
        time = asyncio.get_running_loop().time()
        self._forget(time)
        earlier = self._written.get(identity)
        written: Obj | None = None
        if earlier is not None:
            body = {"count": earlier.count + 1, "lastTimestamp": event["lastTimestamp"]}
            try:
                written = await self._client.patch(EVENTS, earlier.name, body, earlier.namespace)
            except NotFound:
                written = None  # it expired, or somebody deleted it
        if written is None:
            written = await self._client.create(EVENTS, event)
        metadata = written["metadata"]
        self._written[identity] = _Written(
            time, metadata["namespace"], metadata["name"], written.get("count", 1)
        )
        self._written.move_to_end(identity)

    def _forget(self, time: float) -> None:
        """Those that will not be repeated, and the oldest of too many."""
        while self._written:
            oldest = next(iter(self._written.values()))
            if len(self._written) < _REMEMBERED and time - oldest.at < _SAME_EVENT_SECONDS:
                return
            self._written.popitem(last=False)
