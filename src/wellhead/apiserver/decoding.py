"""A request's body as an object of the kind that is expected there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from wellhead.api import schema
from wellhead.api.custom import decoding as custom
from wellhead.api.custom.strategy import CustomStrategy
from wellhead.api.errors import Cause, Invalid, UnsupportedMediaType
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.apiserver.call import Call
from wellhead.apiserver.negotiation import JSON, YAML
from wellhead.apiserver.protobuf.messages import PROTOBUF

_VALIDATIONS = ("Strict", "Warn", "Ignore")


def decode_sent(call: Call, body: object, complaints: Sequence[str] = ()) -> Obj:
    """The same for an object of the call's resource: what a definition defines, by its schema."""
    resource = call.resource
    if resource.custom is None:
        return decode_body(call, body, resource.gvk, complaints)
    strategy = resource.custom.strategy
    assert isinstance(strategy, CustomStrategy)
    decoded = custom.decode(body, resource.gvk, strategy.schema, field_validation(call), complaints)
    call.warnings += decoded.warnings
    return decoded.object


async def sent_object(call: Call) -> Obj:
    """The request's body as an object of the call's resource. Raises BadRequest, UnsupportedMediaType."""
    if call.resource.custom is not None and call.http.content_type == PROTOBUF:
        raise UnsupportedMediaType.accepting((JSON, YAML))
    document = await call.object(call.resource.kind)
    size = len(await call.body())
    return await call.bodies.apart.run(size, lambda: decode_sent(call, document.value, document.complaints))


def decode_body(call: Call, body: object, expected: GroupVersionKind, complaints: Sequence[str] = ()) -> Obj:
    """Check the body against its schema, as strictly as `fieldValidation` asks.

    `complaints` are what a strict reader said of the body already. Raises BadRequest.
    """
    decoded = schema.decode(body, expected, field_validation(call), complaints)
    call.warnings += decoded.warnings
    return decoded.object


def field_validation(call: Call) -> schema.FieldValidation:
    """What to do about fields that nobody knows, or that are there twice. Raises Invalid."""
    validation = call.query.get("fieldValidation") or "Warn"
    if validation not in _VALIDATIONS:
        cause = Cause.not_supported("fieldValidation", validation, {"", *_VALIDATIONS})
        raise Invalid.of("meta.k8s.io", call.options, "", [cause])
    return cast(schema.FieldValidation, validation)


async def decoded_object(call: Call, expected: GroupVersionKind) -> Obj:
    """The request's body as an object of that kind. Raises what `Call.object` and `decode_body` raise."""
    document = await call.object(expected.kind)
    size = len(await call.body())
    return await call.bodies.apart.run(
        size, lambda: decode_body(call, document.value, expected, document.complaints)
    )
