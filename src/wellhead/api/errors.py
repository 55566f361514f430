"""Errors as the Kubernetes API says them: each is a `Status`, with upstream's code, reason and message.

The messages are those of apimachinery's `api/errors`, since clients and people match on them. What `Invalid`
and others are made of, a field's `Cause`, has its own room (`causes`), and can be had from here, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Self

from wellhead.api.causes import Cause as Cause
from wellhead.api.causes import duplicates as duplicates
from wellhead.api.causes import one_of as one_of
from wellhead.api.causes import shortened as shortened
from wellhead.api.causes import shown as shown
from wellhead.api.meta import Obj
from wellhead.text import printable

if TYPE_CHECKING:
    from wellhead.api.resource import Resource

_LONGEST_MESSAGE = 128 * 1024
_MOST_CAUSES = 100


class ApiError(Exception):
    """An answer of the API that isn't a success. `status` is the metav1.Status object."""

    CODE: ClassVar[int] = 500
    REASON: ClassVar[str] = "Unknown"
    bound: str = ""
    """Which of the server's limits the request was above, if that is why: see `api.limits`."""

    def __init__(
        self,
        message: str,
        *,
        details: Obj | None = None,
        code: int | None = None,
        reason: str | None = None,
    ) -> None:
        message = printable(shortened(message, _LONGEST_MESSAGE), lines=True)
        super().__init__(message)
        self.status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if said := self.REASON if reason is None else reason:
            self.status["reason"] = said
        if details:
            self.status["details"] = details
        self.status["code"] = self.CODE if code is None else code

    def exceeding(self, bound: str) -> Self:
        """This error, as the one for a request that is above a limit."""
        self.bound = bound
        return self

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return int(self.status.get("code") or self.CODE)

    @property
    def reason(self) -> str:
        return str(self.status.get("reason") or "")

    @property
    def message(self) -> str:
        return str(self.status.get("message") or "")

    @property
    def causes(self) -> list[Cause]:
        """`details.causes`."""
        causes = (self.status.get("details") or {}).get("causes") or ()
        return [Cause(c.get("field", ""), c.get("reason", ""), c.get("message", "")) for c in causes]

    @property
    def retry_after(self) -> int | None:
        """Seconds that the server asked the client to wait, if it did."""
        seconds = (self.status.get("details") or {}).get("retryAfterSeconds")
        return int(seconds) if seconds else None

    @staticmethod
    def from_status(status: Obj) -> ApiError:
        """The error that a Status object (received from a server) stands for."""
        reason = str(status.get("reason") or "")
        code = int(status.get("code") or 500)
        kind = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
        error = kind.__new__(kind)
        Exception.__init__(error, str(status.get("message") or f"the server answered {code} {reason}"))
        error.status = status
        return error


def _details(resource: Resource | None, name: str) -> Obj:
    if resource is None:
        return {}
    details: Obj = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return details


def namespace_ends(error: Exception) -> bool:
    """The namespace is being deleted: nothing can be created there any more, and nobody needs to know."""
    return isinstance(error, ApiError) and any(each.reason == "NamespaceTerminating" for each in error.causes)


class BadRequest(ApiError):
    """400: the request itself is malformed."""

    CODE, REASON = 400, "BadRequest"


class Undecodable(BadRequest):
    """400: a body that is no object of its kind; `why`, as the decoder says it."""

    def __init__(self, kind: str, version: str, why: str) -> None:
        super().__init__(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
        self.why = why


class Unauthorized(ApiError):
    """401: no (valid) credentials."""

    CODE, REASON = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    """403: known, but not allowed."""

    CODE, REASON = 403, "Forbidden"

    @classmethod
    def of(cls, resource: Resource, name: str, why: str) -> Self:
        """`pods "x" is forbidden: why`, or `pods is forbidden: why` without a name."""
        subject = f'{resource.group_resource} "{name}"' if name else resource.group_resource
        return cls(f"{subject} is forbidden: {why}", details=_details(resource, name))


class NotFound(ApiError):
    """404: no such object, or no such path."""

    CODE, REASON = 404, "NotFound"

    @classmethod
    def of(cls, resource: Resource, name: str) -> Self:
        return cls(f'{resource.group_resource} "{name}" not found', details=_details(resource, name))

    @classmethod
    def path(cls, missing: str = "") -> Self:
        """No such resource or path at all; `missing` may say what this server hasn't got."""
        text = "the server could not find the requested resource"
        return cls(f"{text} ({missing})" if missing else text, details={})


class MethodNotAllowed(ApiError):
    """405: the resource doesn't have this verb."""

    CODE, REASON = 405, "MethodNotAllowed"

    def __init__(
        self, message: str = "the server does not allow this method on the requested resource"
    ) -> None:
        super().__init__(message)

    @classmethod
    def of(cls, resource: Resource, verb: str) -> Self:
        return cls(f'{verb} is not supported on resources of kind "{resource.group_resource}"')


class NotAcceptable(ApiError):
    """406: none of the accepted media types can be served."""

    CODE, REASON = 406, "NotAcceptable"

    @classmethod
    def accepting(cls, media_types: Iterable[str]) -> Self:
        return cls(
            f"only the following media types are accepted: {', '.join(media_types)}",
        )


class Conflict(ApiError):
    """409: the object changed meanwhile, or a precondition fails."""

    CODE, REASON = 409, "Conflict"

    @classmethod
    def of(
        cls,
        resource: Resource,
        name: str,
        why: str = (
            "the object has been modified; please apply your changes to the latest version and try again"
        ),
    ) -> Self:
        return cls(
            f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}',
            details=_details(resource, name),
        )

    @classmethod
    def uid(cls, resource: Resource, name: str, wanted: str, actual: str) -> Self:
        """A uid precondition that fails."""
        return cls.of(
            resource,
            name,
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}",
        )

    @classmethod
    def version(cls, resource: Resource, name: str, wanted: str, actual: str) -> Self:
        """A resourceVersion precondition that fails."""
        what = f"ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {actual}"
        return cls.of(resource, name, f"Precondition failed: {what}")

    @classmethod
    def precondition(
        cls, resource: Resource, name: str, field: str, wanted: str, actual: str, might: str
    ) -> Self:
        """A precondition of a deletion that fails; what `might` have happened to the object."""
        kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        return cls(
            f'Operation cannot be fulfilled on {kind} "{name}": the {field} in the precondition ({wanted})'
            f" does not match the {field} in record ({actual}). The object might have been {might}",
            details=_details(resource, name) | {"kind": resource.kind},
        )


class AlreadyExists(ApiError):
    """409: an object of that name is already there."""

    CODE, REASON = 409, "AlreadyExists"

    @classmethod
    def of(cls, resource: Resource, name: str, *, ending: bool = False) -> Self:
        """`ending`: it is being deleted."""
        prefix = "object is being deleted: " if ending else ""
        text = f'{prefix}{resource.group_resource} "{name}" already exists'
        return cls(text, details=_details(resource, name))


class Gone(ApiError):
    """410: the resource version (or continue token) is older than what is kept."""

    CODE, REASON = 410, "Expired"

    @classmethod
    def too_old(cls, wanted: str | int, oldest: str | int) -> Self:
        return cls(f"too old resource version: {wanted} ({oldest})")


class RequestEntityTooLarge(ApiError):
    """413: the body is larger than the server takes."""

    CODE, REASON = 413, "RequestEntityTooLarge"

    def __init__(self, message: str = "Request entity too large: limit is 3145728") -> None:
        super().__init__(message)


class UnsupportedMediaType(ApiError):
    """415: the body is in a format that the server doesn't read."""

    CODE, REASON = 415, "UnsupportedMediaType"

    @classmethod
    def accepting(cls, media_types: Iterable[str]) -> Self:
        return cls(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(media_types)
        )


class Invalid(ApiError):
    """422: well-formed, but against the kind's rules; `causes` say which fields and why."""

    CODE, REASON = 422, "Invalid"

    @classmethod
    def of(cls, group: str, kind: str, name: str, causes: Iterable[Cause]) -> Self:
        """Upstream's NewInvalid: `Deployment.apps "web" is invalid: [spec.x: …, spec.y: …]`."""
        found = list(dict.fromkeys(causes))
        if len(found) > _MOST_CAUSES:
            more = Cause("", "FieldValueInvalid", f"and {len(found) - _MOST_CAUSES} more")
            found = [*found[:_MOST_CAUSES], more]
        texts = list(dict.fromkeys(str(cause) for cause in found))
        said = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        details: Obj = {"name": name} if name else {}
        if group:
            details["group"] = group
        if kind:
            details["kind"] = kind
        details["causes"] = [
            {
                "reason": c.reason,
                "message": printable(c.message, lines=True),
                "field": printable(c.field, lines=True),
            }
            for c in found
        ]
        qualified = f"{kind}.{group}" if group else kind
        return cls(f'{qualified} "{name}" is invalid: {said}', details=details)

    @classmethod
    def for_object(cls, resource: Resource, obj: Obj, causes: Iterable[Cause]) -> Self:
        metadata = obj.get("metadata") or {}
        return cls.of(
            resource.group, resource.kind, metadata.get("name") or metadata.get("generateName") or "", causes
        )


class TooManyRequests(ApiError):
    """429: try again later (an eviction that a disruption budget forbids, too)."""

    CODE, REASON = 429, "TooManyRequests"

    def __init__(
        self,
        message: str = "Too many requests, please try again later.",
        *,
        retry_after: int = 1,
        details: Obj | None = None,
    ) -> None:
        super().__init__(message, details={**(details or {}), "retryAfterSeconds": retry_after})


class InternalError(ApiError):
    """500: a defect of the server."""

    CODE, REASON = 500, "InternalError"

    def __init__(self, why: str) -> None:
        super().__init__(f"Internal error occurred: {why}", details={"causes": [{"message": why}]})


class PlainError(ApiError):
    """500 without a reason, as upstream answers an error of its libraries that says nothing of HTTP."""

    CODE, REASON = 500, ""


class ServiceUnavailable(ApiError):
    """503: what would answer isn't there."""

    CODE, REASON = 503, "ServiceUnavailable"


class Timeout(ApiError):
    """504: what would answer didn't in time."""

    CODE, REASON = 504, "Timeout"


_KINDS: tuple[type[ApiError], ...] = (
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    AlreadyExists,
    Gone,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
)
_BY_REASON: dict[str, type[ApiError]] = {kind.REASON: kind for kind in _KINDS} | {"Gone": Gone}
# Where two reasons share a code, the first of _KINDS stands for it.
_BY_CODE: dict[int, type[ApiError]] = {kind.CODE: kind for kind in reversed(_KINDS)}
