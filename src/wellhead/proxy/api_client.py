"""The API client, measured under client-go's metric names."""

from __future__ import annotations

from time import perf_counter
from types import SimpleNamespace
from typing import Self

from aiohttp import (
    ClientSession,
    TraceConfig,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestStartParams,
)

from wellhead.client.connection import Connection
from wellhead.client.rest import Client
from wellhead.proxy.metrics import Metrics


class MeasuredClient(Client):
    """A client that counts its requests and times the answers; a watch's, until it is open."""

    def __init__(self, connection: Connection, user_agent: str, *, metrics: Metrics) -> None:
        super().__init__(connection, user_agent)
        self._metrics = metrics

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self._session is not None:
            self._session.trace_configs.append(_traces(self._metrics))
        return self


def _traces(metrics: Metrics) -> TraceConfig:
    async def started(_: ClientSession, context: SimpleNamespace, __: TraceRequestStartParams) -> None:
        context.started = perf_counter()

    async def ended(_: ClientSession, context: SimpleNamespace, done: TraceRequestEndParams) -> None:
        count(context, done.method, done.url.authority, str(done.response.status))

    async def failed(_: ClientSession, context: SimpleNamespace, done: TraceRequestExceptionParams) -> None:
        count(context, done.method, done.url.authority, "<error>")

    def count(context: SimpleNamespace, method: str, host: str, code: str) -> None:
        metrics.requests.labels(code=code, host=host, method=method).inc()
        seconds = perf_counter() - context.started
        metrics.request_duration.labels(host=host, verb=method).observe(seconds)

    traces = TraceConfig()
    traces.on_request_start.append(started)
    traces.on_request_end.append(ended)
    traces.on_request_exception.append(failed)
    traces.freeze()
    return traces
