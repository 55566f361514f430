"""gRPC probes against real HTTP/2, and against what is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import h2.events
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from wellhead.node.pods import grpc_probe
from wellhead.node.pods.outcome import Outcome

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class Health:
    """A health server that answers with `message`, or with a gRPC status alone."""

    def __init__(
        self, message: bytes = SERVING, status: str = "0", said: str = "", http: str = "200"
    ) -> None:
        self.message, self.status, self.said, self.http = message, status, said, http
        self.asked: list[tuple[dict[str, str], bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        headers: dict[str, str] = {}
        body = b""
        while data := await reader.read(4096):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    self.asked.append((headers, body))
                    self._answer(connection)
            writer.write(connection.data_to_send())
        writer.close()

    def _answer(self, connection: H2Connection) -> None:
        connection.send_headers(1, [(":status", self.http), ("content-type", "application/grpc")])
        if self.status == "0" and self.http == "200":
            connection.send_data(1, b"\0" + len(self.message).to_bytes(4, "big") + self.message)
        connection.send_headers(
            1, [("grpc-status", self.status), ("grpc-message", self.said)], end_stream=True
        )


@contextlib.asynccontextmanager
async def _listening(serve: Callable[..., object]) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def run() -> None:
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)  # type: ignore[misc]
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        tasks.add(asyncio.ensure_future(run()))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*tasks)


async def _check(serve: Callable[..., object], service: str = "", seconds: float = 5) -> Outcome:
    async with _listening(serve) as port:
        return await grpc_probe.check("127.0.0.1", {"port": port, "service": service}, seconds)


async def test_a_server_that_serves_is_well() -> None:
    health = Health()
    assert await _check(health.serve) == Outcome(True)
    assert await _check(health.serve, "s" * 200) == Outcome(True)
    (headers, first), (_, second) = health.asked
    assert headers[":path"] == "/grpc.health.v1.Health/Check"
    assert headers["user-agent"] == "kube-probe/1.37"
    assert first == b"\0\0\0\0\0"
    assert second == b"\0" + (203).to_bytes(4, "big") + b"\x0a\xc8\x01" + b"s" * 200


@pytest.mark.parametrize(
    ("health", "message"),
    [
        (Health(NOT_SERVING), 'service unhealthy (responded with "NOT_SERVING")'),
        (Health(b""), 'service unhealthy (responded with "UNKNOWN")'),
        (Health(b"\x08\x09"), 'service unhealthy (responded with "9")'),
        (
            Health(status="5", said="unknown%20service"),
            "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
        ),
        (
            Health(status="12", said="unknown method"),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
            "unknown method",
        ),
        (
            Health(status="²"),
            "error: health rpc probe failed: rpc error: code = Unknown desc = ",
        ),
        (
            Health(http="503"),
            "error: health rpc probe failed: rpc error: code = Unknown desc = "
            "unexpected HTTP status code received from server: 503",
        ),
        (
            Health(b"\x12\x00"),
            "error: health rpc probe failed: rpc error: code = Internal desc = "
            "the answer is no HealthCheckResponse",
        ),
    ],
)
async def test_one_that_does_not_is_told_in_upstreams_words(health: Health, message: str) -> None:
    assert await _check(health.serve) == Outcome(False, message)


async def test_an_answer_without_end_is_cut_off() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        settings = b"\0\0\0\x04\0\0\0\0\0"
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(settings * 1000)
                await writer.drain()

    outcome = await _check(flood)
    assert outcome.message.endswith("code = ResourceExhausted desc = the answer is too long")


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b""])
async def test_what_is_no_grpc_server_is_unwell(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(said)
        await writer.drain()

    outcome = await _check(serve)
    assert not outcome.ok
    assert outcome.message.startswith("error: health rpc probe failed: rpc error: code = Unavailable desc = ")


async def test_no_answer_and_no_listener_take_the_probes_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    late = await _check(silent, seconds=0.05)
    assert late == Outcome(False, "timeout: health rpc did not complete within 0.05s")
    async with _listening(silent) as port:
        pass
    nobody = await grpc_probe.check("127.0.0.1", {"port": port}, 0.05)
    assert nobody == Outcome(
        False,
        f'timeout: failed to connect service "127.0.0.1:{port}" within 0.05s: context deadline exceeded',
    )
