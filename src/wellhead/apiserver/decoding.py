"""A request's body as an object of the kind that is expected there."""

from __future__ import annotations

from typing import cast

from wellhead.api import schema
from wellhead.api.errors import BadRequest
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.apiserver.call import Call

_VALIDATIONS = ("Strict", "Warn", "Ignore")


def decode_body(call: Call, body: object, expected: GroupVersionKind) -> Obj:
    """Check the body against its schema, as strictly as `fieldValidation` asks. Raises BadRequest."""
    validation = call.query.get("fieldValidation") or "Warn"
    if validation not in _VALIDATIONS:
        supported = ", ".join(f'"{value}"' for value in sorted(_VALIDATIONS))
        raise BadRequest(f'fieldValidation: Unsupported value: "{validation}": supported values: {supported}')
    decoded = schema.decode(body, expected, cast(schema.FieldValidation, validation))
    call.warnings += decoded.warnings
    return decoded.object
