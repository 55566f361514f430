"""A backend: a bounded queue of events, and a task that hands them on in batches.

Upstream: plugin/pkg/audit/{buffered,truncate}, and the modes of pkg/server/options/audit.go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wellhead.api.audit.event import Noted, Response, render, truncated
from wellhead.api.meta import Obj
from wellhead.apiserver.audit.options import Delivery
from wellhead.waiting import comes

_log = logging.getLogger(__name__)

_MOST_BYTES = 64 * 1024 * 1024
"""Of all events that wait for one backend."""


@dataclass(slots=True)
class Entry:
    """One event on its way. It is only made into text where that keeps nobody waiting."""

    noted: Noted
    stage: str
    at: float
    response: Response | None
    annotations: Obj
    done: asyncio.Future[bool] | None = None
    """Whether it arrived, where somebody waits for that."""

    @property
    def size(self) -> int:
        body = 0 if self.response is None else len(self.response.body or b"")
        return self.noted.size + body

    def text(self) -> bytes:
        return render(self.noted, self.stage, self.at, self.response, self.annotations)


class Sink(Protocol):
    """Where batches end up."""

    name: str

    async def send(self, events: Sequence[bytes]) -> None:
        """Raises OSError, or what else means that they didn't arrive."""
        ...

    async def close(self) -> None: ...


class Backend:
    """Takes events at any rate, and hands them to its sink as the delivery says."""

    def __init__(self, sink: Sink, delivery: Delivery, lost: Callable[[str, int], None]) -> None:
        """`lost` is told which backend loses events, and how many."""
        self._sink = sink
        self._delivery = delivery
        self._lost = lost
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = False
        self._tokens = float(delivery.burst)
        self._refilled = 0.0

    @property
    def is_strict(self) -> bool:
        """Whether a request whose first event didn't arrive must not go on."""
        return self._delivery.mode == "blocking-strict"

    async def process(self, entry: Entry) -> bool:
        """Put the event down; whether that worked. Waits for it where answers are to wait."""
        if self._delivery.mode == "batch":
            return self.offer(entry)
        entry.done = asyncio.get_running_loop().create_future()
        return self.offer(entry) and await entry.done

    def offer(self, entry: Entry) -> bool:
        """Put the event into the queue, if it has room."""
        size = entry.size
        if len(self._waiting) >= self._delivery.buffer or self._bytes + size > _MOST_BYTES:
            self._lost(self._sink.name, 1)
            return False
        self._waiting.append(entry)
        self._bytes += size
        self._some.set()
        if len(self._waiting) >= self._delivery.batch_size:
            self._full.set()
        return True

    async def run(self) -> None:
        """Hand on what comes, until `stop` was called and nothing is left."""
        while not self._stopping or self._waiting:
            await self._some.wait()
            if self._delivery.batch_seconds:
                await comes(self._full, self._delivery.batch_seconds)
            if self._delivery.throttle and not self._stopping:
                await self._throttled()
            await self._hand_on()

    def stop(self) -> None:
        """Nothing more will come."""
        self._stopping = True
        self._some.set()
        self._full.set()

    async def close(self) -> None:
        """Close the sink."""
        await self._sink.close()

    async def _hand_on(self) -> None:
        count = min(len(self._waiting), self._delivery.batch_size)
        batch = [self._waiting.popleft() for _ in range(count)]
        self._bytes -= sum(each.size for each in batch)
        if not self._waiting and not self._stopping:
            self._some.clear()
        if len(self._waiting) < self._delivery.batch_size and not self._stopping:
            self._full.clear()
        arrived = False
        try:
            texts = await asyncio.to_thread(self._texts, batch)
            if len(texts) < len(batch):
                self._lost("truncate", len(batch) - len(texts))
            for part in self._parts(texts):
                await self._sink.send(part)
            arrived = len(texts) == len(batch)
        except asyncio.CancelledError:
            self._lost(self._sink.name, len(batch))
            raise
        except Exception as error:
            # Whatever it is, requests go on, and so does this.
            _log.warning("audit %s: %d events are lost: %s", self._sink.name, len(batch), error)
            self._lost(self._sink.name, len(batch))
        finally:
            for each in batch:
                if each.done is not None and not each.done.done():
                    each.done.set_result(arrived)

    def _texts(self, batch: Sequence[Entry]) -> list[bytes]:
        texts = [each.text() for each in batch]
        if not self._delivery.truncate:
            return texts
        shorter = (truncated(text, self._delivery.longest_event) for text in texts)
        return [text for text in shorter if text is not None]

    def _parts(self, texts: list[bytes]) -> list[list[bytes]]:
        if not self._delivery.truncate:
            return [texts] if texts else []
        parts: list[list[bytes]] = []
        size = 0
        for text in texts:
            if not parts or size + len(text) > self._delivery.longest_batch:
                parts.append([])
                size = 0
            parts[-1].append(text)
            size += len(text)
        return parts

    async def _throttled(self) -> None:
        """Wait for a token, of which so many come in a second."""
        loop = asyncio.get_running_loop()
        rate = self._delivery.batches_per_second
        now = loop.time()
        self._tokens = min(float(self._delivery.burst), self._tokens + (now - self._refilled) * rate)
        self._refilled = now
        if self._tokens < 1:
            await asyncio.sleep((1 - self._tokens) / rate)
            self._tokens, self._refilled = 1.0, loop.time()
        self._tokens -= 1
