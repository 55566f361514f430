"""A request's way through the server: who asks, may they, what do they get."""

from __future__ import annotations

import asyncio
import logging
import time

from aiohttp import web

from wellhead.api.errors import ApiError, InternalError, ServiceUnavailable
from wellhead.apiserver.answers import error_response
from wellhead.apiserver.authn import ANONYMOUS_PATHS, Authenticator
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import MAX_BODY, Call
from wellhead.apiserver.dispatch import Dispatcher
from wellhead.apiserver.impersonation import impersonated
from wellhead.apiserver.info import RequestInfo, request_info
from wellhead.apiserver.metrics import Metrics

_log = logging.getLogger(__name__)
_CLIENT_CLOSED_REQUEST = 499  # nginx's code, for metrics


class Server:
    """Answers every request with what was asked for or with a Status."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        dispatcher: Dispatcher,
        metrics: Metrics,
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._dispatcher = dispatcher
        self._metrics = metrics
        self.ready = False
        """Whether requests (other than for health) are answered."""

    def protocol(self) -> web.Server:
        """What makes a connection's protocol: for `web.ServerRunner`."""
        return web.Server(
            self.handle,
            request_factory=_request,
            # A watch whose client has gone must not wait for its next event to notice.
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=75.0,
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started = time.perf_counter()
        info = RequestInfo(request.method.lower(), request.path)
        self._metrics.inflight.inc()
        try:
            # The path is taken apart as sent, so that an escaped slash stays within its part.
            info = request_info(request.method, request.rel_url.raw_path, request.query)
            user = self._authenticator.user(request)
            user = impersonated(request, user, self._authorizer)
            self._authorizer.check(user, info)
            if not self.ready and info.path not in ANONYMOUS_PATHS and info.resource is not None:
                raise ServiceUnavailable("the server is starting or stopping: try again in a moment")
            response = await self._dispatcher.dispatch(Call(request, info, user, request.query))
        except ApiError as error:
            response = error_response(error)
        except asyncio.CancelledError:
            raise  # the client is gone
        except ConnectionError as error:
            # It is gone too, just noticed first by a write. From here, aiohttp would log a traceback of it.
            _log.debug("%s %s: the client has left: %s", request.method, request.path, error)
            response = _cut_off(request)
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            response = error_response(InternalError(f"{type(error).__name__}: {error}"))
        finally:
            self._metrics.inflight.dec()
        self._metrics.observe(info, response.status, time.perf_counter() - started)
        return response


def _cut_off(request: web.BaseRequest) -> web.StreamResponse:
    """End the request's connection; nobody receives the answer that is returned for it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=_CLIENT_CLOSED_REQUEST)


def _request(message, payload, protocol, writer, task) -> web.BaseRequest:  # type: ignore[no-untyped-def]
    return web.BaseRequest(
        message, payload, protocol, writer, task, task.get_loop(), client_max_size=MAX_BODY
    )
