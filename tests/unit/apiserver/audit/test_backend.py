"""How events go from requests to a backend: in batches, bounded, waited for or not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.patience import reached
from wellhead.api.audit.event import Noted, Response
from wellhead.api.audit.policy import Decision, Level
from wellhead.apiserver.audit.backend import Backend, Entry
from wellhead.apiserver.audit.options import Delivery


class Sink:
    name = "sink"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.batches: list[Sequence[bytes]] = []
        self.closed = False

    async def send(self, events: Sequence[bytes]) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append(events)

    async def close(self) -> None:
        self.closed = True


def entry(name: str = "a", body: bytes | None = None) -> Entry:
    noted = Noted(Decision(Level.REQUEST_RESPONSE), name, "/", "get", {}, [], "", None, 0.0)
    return Entry(noted, "ResponseComplete", 0.0, Response(200, body=body), {})


class Lost(dict[str, int]):
    def __call__(self, name: str, count: int) -> None:
        self[name] = self.get(name, 0) + count


def backend(sink: Sink, **delivery: Any) -> tuple[Backend, Lost]:
    lost = Lost()
    return Backend(sink, Delivery(**{"mode": "batch", "batch_seconds": 0.0, **delivery}), lost), lost


async def test_events_come_in_order_and_in_batches() -> None:
    sink = Sink()
    one, lost = backend(sink, batch_size=2)
    for name in "abcde":
        assert await one.process(entry(name))
    one.stop()
    await one.run()
    assert [
        [b'"auditID":"' + bytes([each]) in text for each in b"abcde"].index(True)
        for batch in sink.batches
        for text in batch
    ] == [0, 1, 2, 3, 4]
    assert [len(batch) for batch in sink.batches] == [2, 2, 1]
    assert not lost


async def test_what_finds_no_room_is_lost_and_counted() -> None:
    sink = Sink()
    one, lost = backend(sink, buffer=2)
    assert [await one.process(entry(name)) for name in "abc"] == [True, True, False]
    assert lost == {"sink": 1}


async def test_bodies_that_wait_are_bounded() -> None:
    one, lost = backend(Sink())
    body = b"[%b]" % (b" " * (1 << 24))
    taken = [await one.process(entry(body=body)) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert lost == {"sink": 2}


async def test_a_blocking_backend_says_whether_the_event_arrived() -> None:
    for error, arrived in ((None, True), (OSError("full"), False)):
        one, lost = backend(Sink(error), mode="blocking")
        running = asyncio.ensure_future(one.run())
        assert await one.process(entry()) is arrived
        assert bool(lost) is not arrived
        one.stop()
        await running


async def test_only_a_strict_backend_is_needed() -> None:
    assert not backend(Sink(), mode="blocking")[0].is_strict
    assert backend(Sink(), mode="blocking-strict")[0].is_strict


async def test_a_full_batch_does_not_wait() -> None:
    sink = Sink()
    one, _ = backend(sink, batch_size=2, batch_seconds=1e9)
    running = asyncio.ensure_future(one.run())
    one.offer(entry())
    one.offer(entry())
    await reached(lambda: sink.batches)
    one.stop()
    await running


async def test_truncated_events_and_batches() -> None:
    sink = Sink()
    one, lost = backend(sink, truncate=True, longest_event=450, longest_batch=900)
    for name in ("a", "b" * 500, "c", "d", "e"):
        one.offer(entry(name, b'{"data":"%b"}' % (b"x" * 400)))
    one.stop()
    await one.run()
    assert lost == {"truncate": 1}
    assert [len(batch) for batch in sink.batches] == [2, 2]
    assert all(b"responseObject" not in text and len(text) <= 450 for batch in sink.batches for text in batch)
