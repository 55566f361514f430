"""etcd's v3 API, as far as the store needs it, at whichever of several endpoints answers.

The kept client libraries lack TLS, several endpoints or comparing revisions, or lose events when they connect
anew; so this is grpcio with etcd's messages, and no more than that. Source of the calls: etcd's rpc.proto; of
which errors mean what: api/v3rpc/rpctypes/error.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio

from wellhead.storage.etcd import rpc_pb2 as rpc
from wellhead.storage.etcd.options import EtcdOptions

_ANSWER_SECONDS = 2.0
"""For one endpoint to answer, before the next is asked."""
_RETRY_SECONDS = 0.1

# etcd hangs up on clients that ping more often than every five seconds.
_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)
# Who is cut off from the majority says so instead of answering with what it has.
_REQUIRE_LEADER = (("hasleader", "true"),)

_COMPACTED = "required revision has been compacted"
_NO_SPACE = "database space exceeded"
_TRY_ELSEWHERE = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)


class EtcdError(Exception):
    """etcd refused a call, in its words."""


class EtcdUnreachable(EtcdError):
    """No endpoint answered in time: whether the call was carried out is not known."""


class EtcdCompacted(EtcdError):
    """The revision that was asked for is gone. `revision` is where a watch's history begins now, else 0."""

    def __init__(self, words: str, revision: int = 0) -> None:
        super().__init__(words)
        self.revision = revision


class EtcdFull(EtcdError):
    """The database has reached its quota."""


class _Message(Protocol):
    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


Answer = TypeVar("Answer")


class EtcdClient:
    """Calls go to one endpoint, and to the next one when it doesn't answer."""

    def __init__(self, endpoints: Sequence[str], options: EtcdOptions) -> None:
        """`endpoints` are URLs. Raises ValueError for what is none."""
        self._urls = [_checked(url) for url in endpoints]
        self._options = options
        self._channels: list[grpc.aio.Channel] = []
        self._current = 0

    def connect(self) -> None:
        """Make the channels, which connect when they are used. Raises OSError: a file can't be read."""
        secure = _credentials(self._options) if any(scheme == "https" for scheme, _ in self._urls) else None
        for scheme, authority in self._urls:
            if scheme == "https" and secure is not None:
                channel = grpc.aio.secure_channel(authority, secure, _CHANNEL_OPTIONS)
            else:
                channel = grpc.aio.insecure_channel(authority, _CHANNEL_OPTIONS)
            self._channels.append(channel)

    async def close(self) -> None:
        """End all calls."""
        for channel in self._channels:
            await channel.close(None)

    async def range(self, request: rpc.RangeRequest) -> rpc.RangeResponse:
        """Records, linearizably: nothing that was acknowledged before the call is missing."""
        return await self._call("KV/Range", request, rpc.RangeResponse.FromString)

    async def transact(self, request: rpc.TxnRequest) -> tuple[rpc.TxnResponse, bool]:
        """One transaction; and whether it may have been carried out before, by a call without an answer."""
        repeated = False

        def note() -> None:
            nonlocal repeated
            repeated = True

        answer = await self._call("KV/Txn", request, rpc.TxnResponse.FromString, note)
        return answer, repeated

    async def compact(self, revision: int) -> None:
        """Forget the history before the revision. Raises EtcdCompacted if that happened already."""
        request = rpc.CompactionRequest(revision=revision)
        await self._call("KV/Compact", request, rpc.CompactionResponse.FromString)

    async def alarms(self) -> list[str]:
        """What etcd itself complains of: NOSPACE, CORRUPT."""
        answer = await self._call("Maintenance/Alarm", rpc.AlarmRequest(), rpc.AlarmResponse.FromString)
        return sorted({rpc.AlarmMember.Type.Name(member.alarm) for member in answer.alarms})

    async def watch(self, request: rpc.WatchCreateRequest) -> AsyncIterator[rpc.WatchResponse]:
        """What happens from a revision on, until the stream breaks.

        Raises:
            EtcdCompacted: the history doesn't go back that far.
            EtcdError: the stream broke.
        """
        channel = self._channels[self._current]
        method = channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=_serialized,
            response_deserializer=rpc.WatchResponse.FromString,
        )
        call = method(_kept_open(rpc.WatchRequest(create_request=request)), metadata=_REQUIRE_LEADER)
        try:
            async for response in call:
                if response.compact_revision:
                    raise EtcdCompacted("the history was cut", response.compact_revision)
                if response.canceled:
                    raise EtcdError(response.cancel_reason)
                yield response
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            self._next()
            raise EtcdError(_words(error)) from None
        finally:
            call.cancel()
        self._next()

    async def _call(
        self,
        name: str,
        request: _Message,
        parse: Callable[[bytes], Answer],
        on_retry: Callable[[], None] = lambda: None,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._options.call_seconds
        while True:
            channel = self._channels[self._current]
            method = channel.unary_unary(
                f"/etcdserverpb.{name}", request_serializer=_serialized, response_deserializer=parse
            )
            asked = self._current
            try:
                answer: Answer = await method(request, timeout=_ANSWER_SECONDS, metadata=_REQUIRE_LEADER)
                return answer
            except grpc.aio.AioRpcError as error:
                if error.code() not in _TRY_ELSEWHERE:
                    raise _explained(error) from None
                if loop.time() >= until:
                    raise EtcdUnreachable(f"no etcd endpoint answers: {_words(error)}") from None
            on_retry()
            if asked == self._current:
                self._next()
            await asyncio.sleep(_RETRY_SECONDS)

    def _next(self) -> None:
        self._current = (self._current + 1) % len(self._channels)


def _checked(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.rstrip("/"):
        raise ValueError(f"{url!r} is no etcd endpoint: use http://HOST:PORT or https://HOST:PORT")
    return parts.scheme, parts.netloc if parts.port else f"{parts.netloc}:2379"


def _credentials(options: EtcdOptions) -> grpc.ChannelCredentials:
    files = options.ca_file, options.key_file, options.cert_file
    return grpc.ssl_channel_credentials(*(None if file is None else file.read_bytes() for file in files))


async def _kept_open(request: rpc.WatchRequest) -> AsyncIterator[rpc.WatchRequest]:
    """One request, after which the stream's other direction stays open."""
    yield request
    await asyncio.Event().wait()


def _serialized(message: _Message) -> bytes:
    return message.SerializeToString()


def _words(error: Exception) -> str:
    details = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
    return details or type(error).__name__


def _explained(error: grpc.aio.AioRpcError) -> EtcdError:
    words = _words(error)
    if _COMPACTED in words:
        return EtcdCompacted(words)
    if _NO_SPACE in words:
        return EtcdFull(words)
    return EtcdError(words)
