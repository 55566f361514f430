"""gRPC probes: one call of grpc.health.v1.Health/Check, over HTTP/2.

Source: pkg/probe/grpc/grpc.go of v1.37; the gRPC protocol over HTTP/2 and its health checking protocol. h2
does the HTTP/2. What a server sends is bounded: it is a pod's, and may lie.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from urllib.parse import unquote

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error

from wellhead.api.meta import Obj
from wellhead.backoff import Backoff
from wellhead.node.pods.http_actions import VERSION, authority
from wellhead.node.pods.outcome import Outcome
from wellhead.protobuf import text

_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_CODES = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)
_LARGEST_ANSWER = 64 << 10  # bytes of all frames
_STREAM = 1


class _CallFailed(Exception):
    """The call ended without an answer: its status code's name and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code, self.message = code, message


async def check(host: str, action: Obj, seconds: float) -> Outcome:
    """Probe once, within so many seconds."""
    where = authority(host, int(action["port"]))
    connected = False
    try:
        async with asyncio.timeout(seconds):
            tls = _tls() if action.get("mode") == "TLS" else None
            reader, writer = await _connect(host, int(action["port"]), tls)
            connected = True
            try:
                status = await _call(reader, writer, where, str(action.get("service") or ""))
            finally:
                writer.close()
    except TimeoutError:
        if connected:
            return Outcome(False, f"timeout: health rpc did not complete within {seconds:g}s")
        why = "context deadline exceeded"
        return Outcome(False, f'timeout: failed to connect service "{where}" within {seconds:g}s: {why}')
    except _CallFailed as error:
        if error.code == "Unimplemented":
            what = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return Outcome(False, f"error: {what}: {error.message}")
        return Outcome(False, f"error: health rpc probe failed: {error}")
    if status == "SERVING":
        return Outcome(True)
    return Outcome(False, f'service unhealthy (responded with "{status}")')


def _tls() -> ssl.SSLContext:
    """TLS to whomever it may be, as probes have it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


async def _connect(
    host: str, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, tried again and again: who probes waits until its time is over."""
    backoff = Backoff(0.1, 1.0)
    while True:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(host, port, ssl=tls)
        await asyncio.sleep(backoff.next())


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str, service: str) -> str:
    """The health that the server answers with. Raises _CallFailed."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    connection.send_headers(_STREAM, _headers(where))
    connection.send_data(_STREAM, _request(service), end_stream=True)
    answer, headers = b"", dict[str, str]()
    received, ended = 0, False
    while not ended:
        writer.write(connection.data_to_send())
        data = await _receive(reader)
        received += len(data)
        if received > _LARGEST_ANSWER:
            raise _CallFailed("ResourceExhausted", "the answer is too long")
        for event in _events(connection, data):
            match event:
                case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                    headers |= {str(name): str(value) for name, value in event.headers}
                case h2.events.DataReceived():
                    answer += event.data
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise _CallFailed("Unavailable", f"stream terminated: error code {event.error_code}")
                case h2.events.StreamEnded():
                    ended = True
    _check_status(headers)
    return _health(answer)


def _headers(where: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", where),
        ("content-type", "application/grpc"),
        ("user-agent", f"kube-probe/{VERSION}"),
        ("te", "trailers"),
    ]


async def _receive(reader: asyncio.StreamReader) -> bytes:
    try:
        data = await reader.read(16384)
    except OSError as error:
        raise _CallFailed("Unavailable", f"error reading from server: {error.strerror}") from error
    if not data:
        raise _CallFailed("Unavailable", "error reading from server: EOF")
    return data


def _events(connection: H2Connection, data: bytes) -> Iterable[h2.events.Event]:
    try:
        return connection.receive_data(data)
    except (H2Error, UnicodeDecodeError) as error:
        raise _CallFailed("Unavailable", f"connection error: {error}") from error


def _check_status(headers: dict[str, str]) -> None:
    if headers.get(":status") != "200":
        why = f"unexpected HTTP status code received from server: {headers.get(':status')}"
        raise _CallFailed("Unimplemented" if headers.get(":status") == "404" else "Unknown", why)
    code = headers.get("grpc-status", "")
    if code == "0":
        return
    name = _CODES[int(code)] if code.isascii() and code.isdecimal() and int(code) < len(_CODES) else "Unknown"
    raise _CallFailed(name, unquote(headers.get("grpc-message", "")))


def _request(service: str) -> bytes:
    """A HealthCheckRequest: field 1 is the service's name. Before it, not compressed, and its length."""
    message = text(1, service) if service else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _health(answer: bytes) -> str:
    """What a HealthCheckResponse says: its field 1, a number of one byte, and none for UNKNOWN."""
    message = answer[5:]
    if answer[:1] != b"\0" or len(message) != int.from_bytes(answer[1:5], "big"):
        raise _CallFailed("Internal", "the answer is no message of its length, or is compressed")
    if not message:
        return _STATUSES[0]
    if len(message) != 2 or message[0] != 0x08:
        raise _CallFailed("Internal", "the answer is no HealthCheckResponse")
    return _STATUSES[message[1]] if message[1] < len(_STATUSES) else str(message[1])
