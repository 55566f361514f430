"""One request on its way through the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from wellhead.api.errors import BadRequest, NotFound, RequestEntityTooLarge, UnsupportedMediaType
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.apiserver.authn import User
from wellhead.apiserver.documents import Document, read_json, read_yaml
from wellhead.apiserver.info import RequestInfo
from wellhead.apiserver.negotiation import JSON, YAML
from wellhead.apiserver.protobuf import decoding as protobuf

MAX_BODY = 3 * 1024 * 1024  # bytes, as upstream


@dataclass(slots=True)
class Call:
    """A request, what it asks for, and who asks."""

    http: web.BaseRequest
    info: RequestInfo
    user: User
    query: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)
    """What the answer's Warning headers will say."""
    complaints: list[str] = field(default_factory=list)
    """What a strict reader of the body found: keys that are there twice."""
    limits: Limits = DEFAULTS

    @property
    def resource(self) -> Resource:
        """The resource. Raises NotFound where the path is none's."""
        if self.info.resource is None:
            raise NotFound.path()
        return self.info.resource

    def flag(self, name: str) -> bool:
        """A boolean query parameter, as apimachinery converts them."""
        return self.query.get(name, "") in ("true", "1", "True", "t", "T")

    def number(self, name: str) -> int | None:
        """An integer query parameter. Raises BadRequest."""
        text = self.query.get(name, "")
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None

    @property
    def dry_run(self) -> bool:
        """Whether the write is only tried. Raises BadRequest."""
        return check_dry_run(self.query.get("dryRun", ""))

    async def body(self) -> bytes:
        """Raises RequestEntityTooLarge."""
        try:
            return await self.http.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise RequestEntityTooLarge(f"Request entity too large: limit is {MAX_BODY}") from error

    async def object(self) -> Obj:
        """The body as an API object. Raises BadRequest, RequestEntityTooLarge, UnsupportedMediaType."""
        body = await self.body()
        if not body:
            raise BadRequest("request body is empty: it must hold an object")
        if self.http.content_type == protobuf.CONTENT_TYPE:
            return protobuf.decode_protobuf(body)
        document = await self._document(body)
        if not isinstance(document.value, dict):
            raise BadRequest("couldn't get version/kind; json parse error: the body is not an object")
        self.complaints += document.complaints
        return document.value

    async def _document(self, body: bytes) -> Document:
        # curl and client libraries that say nothing send JSON.
        content_type = self.http.content_type
        if content_type in _JSON_TYPES:
            return read_json(body, self.limits)
        if content_type in _YAML_TYPES:
            # One at a time: the interpreter has a lock, and others' requests are to get it, too.
            async with _reading_yaml:
                return await asyncio.to_thread(read_yaml, body, self.limits)
        raise UnsupportedMediaType.accepting((JSON, YAML, protobuf.CONTENT_TYPE))


_JSON_TYPES = (JSON, "", "application/octet-stream", "application/x-www-form-urlencoded", "*/*")
_YAML_TYPES = (YAML, "application/yml", "text/yaml", "application/x-yaml")
_reading_yaml = asyncio.Semaphore(1)


def check_dry_run(value: str) -> bool:
    """Whether `dryRun` asks for a trial. Raises BadRequest."""
    if value not in ("", "All"):
        raise BadRequest(
            f'Invalid value: ["{value}"]: dryRun: Unsupported value: "{value}": supported values: "All"'
        )
    return value == "All"
