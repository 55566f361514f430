"""One request on its way through the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import yaml
from aiohttp import web

from wellhead.api.errors import BadRequest, NotFound, RequestEntityTooLarge, UnsupportedMediaType
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.apiserver.authn import User
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
        """The body as an API object. Raises BadRequest, UnsupportedMediaType."""
        return parse_object(await self.body(), self.http.content_type)


def check_dry_run(value: str) -> bool:
    """Whether `dryRun` asks for a trial. Raises BadRequest."""
    if value not in ("", "All"):
        raise BadRequest(
            f'Invalid value: ["{value}"]: dryRun: Unsupported value: "{value}": supported values: "All"'
        )
    return value == "All"


def parse_object(body: bytes, content_type: str) -> Obj:
    """An object from JSON, YAML or Protobuf. Raises BadRequest, UnsupportedMediaType."""
    if not body:
        raise BadRequest("request body is empty: it must hold an object")
    if content_type == protobuf.CONTENT_TYPE:
        return protobuf.decode_protobuf(body)
    obj = parse_document(body, content_type)
    if not isinstance(obj, dict):
        raise BadRequest("couldn't get version/kind; json parse error: the body is not an object")
    return obj


def parse_document(body: bytes, content_type: str) -> object:
    """Any JSON or YAML. Raises BadRequest, UnsupportedMediaType."""
    # curl and client libraries that say nothing send JSON.
    if content_type in (JSON, "", "application/octet-stream", "application/x-www-form-urlencoded", "*/*"):
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from None
    if content_type in (YAML, "application/yml", "text/yaml", "application/x-yaml"):
        try:
            return msgspec.to_builtins(_YamlLoader(body).get_single_data())
        except (yaml.YAMLError, msgspec.ValidationError, TypeError, UnicodeDecodeError) as error:
            raise BadRequest(f"error converting YAML to JSON: {error}") from None
    raise UnsupportedMediaType.accepting((JSON, YAML, protobuf.CONTENT_TYPE))


class _YamlLoader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date is a string."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
