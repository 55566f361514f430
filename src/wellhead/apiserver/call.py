"""One request on its way through the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wellhead.api.documents import Document, Unreadable, read_json, read_yaml
from wellhead.api.errors import BadRequest, Cause, Invalid, NotFound, UnsupportedMediaType
from wellhead.api.limits import Limits
from wellhead.api.managed_fields.update import Writer
from wellhead.api.managed_fields.writers import manager_of, manager_problems
from wellhead.api.meta import now
from wellhead.api.numbers import parse_int64
from wellhead.api.query import is_true
from wellhead.api.resource import Resource
from wellhead.apiserver.audit.trail import Trail
from wellhead.apiserver.authn import User
from wellhead.apiserver.bodies import Bodies
from wellhead.apiserver.exchange import Exchange
from wellhead.apiserver.flowcontrol.control import Seat
from wellhead.apiserver.info import RequestInfo
from wellhead.apiserver.negotiation import JSON, YAML
from wellhead.apiserver.protobuf.decoding import decode_protobuf
from wellhead.apiserver.protobuf.messages import PROTOBUF


@dataclass(slots=True)
class Call:
    """A request, what it asks for, and who asks."""

    http: Exchange
    info: RequestInfo
    user: User
    query: Mapping[str, str]
    limits: Limits
    bodies: Bodies
    warnings: list[str] = field(default_factory=list)
    """What the answer's Warning headers will say."""
    trail: Trail | None = None
    """What the audit log gets to know, if it is to know anything."""
    seat: Seat | None = None
    """What it occupies of the server: a watch gives it back once it stands."""
    _body: bytes | None = None

    @property
    def resource(self) -> Resource:
        """The resource. Raises NotFound where the path is none's."""
        if self.info.resource is None:
            raise NotFound.path()
        return self.info.resource

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return is_true(self.query, name)

    def number(self, name: str) -> int | None:
        """An integer query parameter of 64 bits. Raises BadRequest."""
        text = self.query.get(name, "")
        if not text:
            return None
        try:
            return parse_int64(text)
        except ValueError as error:
            raise BadRequest(str(error)) from None

    @property
    def dry_run(self) -> bool:
        """Whether the write is only tried. Raises Invalid."""
        return "dryRun" in self.query and check_dry_run(self.query["dryRun"], self.options)

    @property
    def options(self) -> str:
        """The kind of the options that come with such a request, as errors name it."""
        return _OPTIONS.get(self.http.method, "GetOptions")

    def writer(self, options: str) -> Writer:
        """Whose the fields are that this request changes: `fieldManager` says it, or else the User-Agent.

        `options` is the kind that an error names. Raises Invalid.
        """
        manager = self.query.get("fieldManager", "")
        if manager:
            causes = manager_problems(manager, "fieldManager")
            if causes:
                raise Invalid.of("meta.k8s.io", options, "", causes)
        else:
            manager = manager_of(self.http.headers.get("User-Agent", ""))
        return Writer(manager, now(), self.info.subresource)

    async def body(self) -> bytes:
        """Raises BadRequest, RequestEntityTooLarge, TooManyRequests, UnsupportedMediaType."""
        if self._body is None:
            self._body = await self.bodies.read(self.http)
        return self._body

    async def patch(self) -> bytes:
        """The body, which isn't an object itself. Raises what `body` raises."""
        body = await self.body()
        if self.trail is not None:
            self.trail.patch(body)
        return body

    async def object(self, kind: str = "") -> Document:
        """The body as an API object, not checked yet; errors name the kind that is expected.

        Raises BadRequest, RequestEntityTooLarge, UnsupportedMediaType.
        """
        body = await self.body()
        try:
            if not body:
                raise Unreadable("", "unexpected end of JSON input")
            document = await self._document(body)
        except Unreadable as error:
            raise _unrecognized(kind, error.problem, body) from None
        if self.trail is not None:
            self.trail.sent(document.value, body if self._content_type == JSON else None)
        if not isinstance(document.value, dict):
            raise _unrecognized(kind, _NOT_AN_OBJECT.format(_kind_of_value(document.value)), body)
        return document

    @property
    def _content_type(self) -> str:
        """Who says nothing sends JSON."""
        return self.http.content_type if self.http.headers.get("Content-Type") else JSON

    async def _document(self, body: bytes) -> Document:
        content_type = self._content_type
        if content_type == PROTOBUF:
            return await self.bodies.apart.run(
                len(body), lambda: Document(decode_protobuf(body, self.limits))
            )
        if content_type == JSON:
            return await self.bodies.apart.run(len(body), lambda: read_json(body, self.limits))
        if content_type == YAML:
            return await self.bodies.apart.run(_YAML_WORK * len(body), lambda: read_yaml(body, self.limits))
        raise UnsupportedMediaType.accepting((JSON, YAML, PROTOBUF))


_NOT_AN_OBJECT = "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string; Kind string }}"
_SHOWN_OF_BODY = 30  # bytes


def _kind_of_value(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
    return "number"


def _unrecognized(kind: str, problem: str, body: bytes) -> BadRequest:
    """The error for a body that is no object."""
    if not problem.startswith("yaml: "):
        problem = f"couldn't get version/kind; json parse error: {problem}"
    if not kind:
        return BadRequest(problem)
    start = body[:_SHOWN_OF_BODY]
    shown = start.decode(errors="replace") if body[:1] == b"{" else start.hex()
    summary = f"{shown} ..." if len(body) > _SHOWN_OF_BODY else shown or "<empty>"
    return BadRequest(f"the object provided is unrecognized (must be of type {kind}): {problem} ({summary})")


_OPTIONS = {
    "POST": "CreateOptions",
    "PUT": "UpdateOptions",
    "PATCH": "PatchOptions",
    "DELETE": "DeleteOptions",
}
_YAML_WORK = 20  # times as much as JSON of the same size


def check_dry_run(value: str, options: str) -> bool:
    """Whether `dryRun` asks for a trial: it can ask for nothing else. Raises Invalid."""
    if value != "All":
        cause = Cause.not_supported("dryRun", [value], ("All",))
        raise Invalid.of("meta.k8s.io", options, "", [cause])
    return True
