"""Reading requests' bodies: none too large, and not too much at once."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import (
    ApiError,
    BadRequest,
    RequestEntityTooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)
from wellhead.api.limits import Limits
from wellhead.apiserver.apart import Apart
from wellhead.text import quoted


class Bodies:
    """Counts what is being read, for one server."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0
        self.apart = Apart()
        """Where large ones are decoded."""

    async def read(self, request: web.BaseRequest) -> bytes:
        """The whole body; empty if there is none.

        Raises BadRequest, RequestEntityTooLarge, TooManyRequests, and UnsupportedMediaType for a compressed
        one: nothing is ever decompressed here, so there is no bomb to fear.
        """
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() not in ("", "identity"):
            raise UnsupportedMediaType(
                f"the content encoding {quoted(encoding)} is not supported: send the body as it is"
            )
        if (request.content_length or 0) > self._limits.request_body:
            raise self._too_large()
        body = bytearray()
        try:
            while chunk := await request.content.readany():
                body += chunk
                self._held += len(chunk)
                if len(body) > self._limits.request_body:
                    raise self._too_large()
                if self._held > self._limits.bodies_together:
                    raise TooManyRequests(
                        "the bodies of all requests together are too large: try again later"
                    ).exceeding("bodies-together")
        except web.RequestPayloadError as error:
            raise BadRequest(f"the request's body is broken: {error}") from None
        finally:
            self._held -= len(body)
        return bytes(body)

    def _too_large(self) -> ApiError:
        limit = self._limits.request_body
        return RequestEntityTooLarge(f"Request entity too large: limit is {limit}").exceeding("request-body")
