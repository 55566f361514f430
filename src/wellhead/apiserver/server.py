"""A request's way through the server: who asks, may they, what do they get."""

from __future__ import annotations

import asyncio
import logging
import time

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec.structs import replace

from wellhead.api.errors import (
    ApiError,
    BadRequest,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
    Unauthorized,
)
from wellhead.api.limits import Limits
from wellhead.api.meta import new_uid
from wellhead.apiserver.aggregation.proxy import remote_info
from wellhead.apiserver.aggregation.services import Remotes
from wellhead.apiserver.answers import error_response
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.audit.trail import Auditor, Trail
from wellhead.apiserver.authn import Authenticator, User
from wellhead.apiserver.authz import EVERYTHING, Authorizer
from wellhead.apiserver.bodies import Bodies
from wellhead.apiserver.call import Call
from wellhead.apiserver.connections import Connections
from wellhead.apiserver.dispatch import Dispatcher
from wellhead.apiserver.exchange import AUDIT_ID, Exchange, exchange
from wellhead.apiserver.flowcontrol.control import FlowControl, Seat
from wellhead.apiserver.flowcontrol.width import width_of
from wellhead.apiserver.impersonation import impersonated
from wellhead.apiserver.info import Lookup, RequestInfo, request_info
from wellhead.apiserver.metrics import Metrics
from wellhead.storage.cache import WatchCache

_log = logging.getLogger(__name__)
_LONGEST_LINE = 64 * 1024  # bytes: selectors are part of it
_LONGEST_HEADER = 32 * 1024  # bytes: a token with all the groups that somebody is in
_CLIENT_CLOSED_REQUEST = 499  # nginx's code, for metrics


class Server:
    """Answers every request with what was asked for or with a Status."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        dispatcher: Dispatcher,
        metrics: Metrics,
        limits: Limits,
        lookup: Lookup,
        remotes: Remotes,
        auditor: Auditor | None,
        flow_control: FlowControl | None,
        cache: WatchCache,
    ) -> None:
        """Without `flow_control`, whoever comes while `Limits.requests` are answered is turned away."""
        self._auditor = auditor
        self._flow_control = flow_control
        self._cache = cache
        self._remotes = remotes
        self._limits = limits
        self._lookup = lookup
        self._bodies = Bodies(limits)
        self._requests = 0
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._dispatcher = dispatcher
        self._metrics = metrics
        self.ready = False
        """Whether requests (other than for health) are answered."""

    async def readiness(self) -> str:
        """Why requests aren't answered; "" if they are."""
        return "" if self.ready else "the server is starting or stopping"

    def connections(self) -> Connections:
        """What accepts connections: for `web.ServerRunner`, too."""
        return Connections(
            self.handle,
            self._limits,
            self._metrics.refused,
            request_factory=exchange,
            # A watch whose client has gone must not wait for its next event to notice.
            handler_cancellation=True,
            auto_decompress=False,
            lingering_time=2.0,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_HEADER,
            logger=_http_log,
            access_log=None,
            keepalive_timeout=75.0,
        )

    async def handle(self, request: Exchange) -> web.StreamResponse:
        """Answer one request."""
        started = time.perf_counter()
        info = RequestInfo(request.method.lower(), request.path)
        self._metrics.inflight.inc()
        warnings: list[str] = []
        trail: Trail | None = None
        failure: ApiError | None = None
        seat: Seat | None = None
        stage = "ResponseComplete"
        audit_id = request.answer_headers[AUDIT_ID] = request.headers.get(AUDIT_ID) or new_uid()
        try:
            _check_headers(request)
            try:
                user = self._authenticator.user(request)
            except Unauthorized:
                if self._auditor is not None:
                    await self._unauthenticated(request, audit_id)
                raise
            # The path is taken apart as sent, so that an escaped slash stays within its part.
            try:
                info = self._info(request)
            finally:
                if self._auditor is not None:
                    trail = await self._auditor.begin(request, audit_id, info, user)
            acting = impersonated(request, user, self._authorizer)
            if trail is not None:
                if acting is not user:
                    trail.acting_as(acting)
                if info.is_long_running:
                    request.trail = trail
            if info.missing is not None:
                self._authorize(acting, info, trail)
                raise info.missing
            if self._flow_control is not None:
                flow = self._flow_control.flow(acting, info)
                request.answer_headers |= flow.headers
                if not info.is_long_running or (info.verb == "watch" and not self._is_remote(info)):
                    seat = await self._flow_control.enter(flow, self._width(request, info))
            self._authorize(acting, info, trail)
            if not self.ready and info.resource is not None:
                raise ServiceUnavailable("the server is starting or stopping: try again in a moment")
            call = Call(
                request, info, acting, request.query, self._limits, self._bodies, warnings, trail, seat
            )
            response = await self._in_time(call)
        except ApiError as error:
            if error.bound:
                self._metrics.refused(error.bound)
            failure = error
            response = error_response(error, warnings, request.headers.get("Accept", ""))
        except web.HTTPException as error:  # aiohttp's own: a handshake that isn't one
            response = error_response(ApiError(error.text or error.reason, code=error.status, reason=""))
        except asyncio.CancelledError:
            if trail is not None:
                trail.cut_off(endless=info.is_long_running)
            raise  # the client is gone
        except ConnectionError as error:
            # It is gone too, just noticed first by a write. From here, aiohttp would log a traceback of it.
            _log.debug("%s %s: the client has left: %s", request.method, request.path, error)
            response = _cut_off(request)
        except Exception:
            # A defect of this server. What it was is in the log, and not the client's business.
            _log.exception("%s %s", request.method, request.path)
            self._metrics.defects.inc()
            stage, failure = "Panic", InternalError("the server's log says why")
            response = error_response(failure)
        finally:
            self._metrics.inflight.dec()
            if seat is not None:
                seat.leave()
        if trail is not None:
            request.trail = None
            await trail.end(stage, response, failure, endless=info.is_long_running)
        if not response.prepared and request.writer.output_size:
            response = _cut_off(request)  # an answer had begun, which now can't be ended any better
        if info.missing is not None or self._is_remote(info) or self._is_gone(info):
            info = replace(info, resource=None)  # its name is anybody's: there would be no end of series
        self._metrics.observe(info, response.status, time.perf_counter() - started)
        return response

    async def _unauthenticated(self, request: Exchange, audit_id: str) -> None:
        assert self._auditor is not None
        try:
            info = self._info(request)
        except ApiError:
            info = RequestInfo(request.method.lower(), request.path)
        trail = await self._auditor.begin(request, audit_id, info, None)
        if trail is not None:
            await trail.refused(request)

    def _authorize(self, user: User, info: RequestInfo, trail: Trail | None) -> None:
        """Raises Forbidden."""
        if trail is None:
            self._authorizer.check(user, info)
            return
        allowed = False
        try:
            self._authorizer.check(user, info)
            allowed = True
        finally:
            trail.decided(allowed, self._authorizer.reason(user, Attributes.of(info)))

    def _info(self, request: web.BaseRequest) -> RequestInfo:
        path = request.rel_url.raw_path
        remote = self._remotes.of_path(path)
        if remote is not None:
            return remote_info(request.method, path, request.query, remote)
        return request_info(request.method, path, request.query, self._lookup)

    def _is_gone(self, info: RequestInfo) -> bool:
        """Whether the resource was a custom one, which meanwhile isn't served any more."""
        asked = info.resource
        if asked is None or asked.custom is None:
            return False
        return self._lookup(asked.group, asked.version, asked.plural) is None

    def _is_remote(self, info: RequestInfo) -> bool:
        return self._remotes.of_path(info.path) is not None

    def _width(self, request: Exchange, info: RequestInfo) -> int:
        resource = info.resource
        if info.verb not in ("list", "watch") or resource is None or self._is_remote(info):
            return 1
        return width_of(info, request.query, self._cache[resource.storage_prefix])

    async def _in_time(self, call: Call) -> web.StreamResponse:
        """Dispatch the call, if there aren't too many, within the time that it may take. Raises ApiError."""
        if call.info.is_long_running:
            return await self._dispatcher.dispatch(call)
        if (
            self._flow_control is None
            and self._requests >= self._limits.requests
            and EVERYTHING not in call.user.groups
        ):
            raise TooManyRequests().exceeding("requests")
        self._requests += 1
        try:
            async with asyncio.timeout(self._limits.request_seconds) as limit:
                return await self._dispatcher.dispatch(call)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Timeout("request did not complete within the allotted timeout").exceeding(
                "request-seconds"
            ) from None
        finally:
            self._requests -= 1


def _check_headers(request: web.BaseRequest) -> None:
    """Raises BadRequest for what isn't text: nothing after this has to think of it."""
    text = "".join((request.raw_path, *request.headers.values()))
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise BadRequest("the request's path or headers are not UTF-8")


def _cut_off(request: web.BaseRequest) -> web.StreamResponse:
    """End the request's connection; nobody receives the answer that is returned for it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=_CLIENT_CLOSED_REQUEST)


class _WithoutTraceback(logging.Filter):
    """aiohttp logs each malformed request with a traceback: anybody could fill the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            record.msg, record.args = "a malformed request: %s", (error.message,)
            return _http_log.isEnabledFor(logging.DEBUG)
        return True


_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_WithoutTraceback())
