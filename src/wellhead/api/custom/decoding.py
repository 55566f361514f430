"""A body as an object of a custom kind: metadata as everybody's, the rest by the kind's schema."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.custom.schemas import META_FIELDS
from wellhead.api.custom.values import apply_defaults, copied, prune
from wellhead.api.errors import BadRequest, Undecodable
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.schema import Decoded, FieldValidation, check_kind, decode_metadata
from wellhead.text import quoted

_MOST_TOLD = 100


def decode(
    body: object,
    expected: GroupVersionKind,
    schema: Obj,
    field_validation: FieldValidation = "Warn",
    complaints: Sequence[str] = (),
) -> Decoded:
    """What `schema.decode` does for a built-in kind. Nothing but unknown fields is refused here: the rest is
    for validation. `body` isn't changed.

    Raises BadRequest in upstream's words.
    """
    if not isinstance(body, dict):
        raise BadRequest(f"couldn't get version/kind; json parse error: not a {expected.kind} object")
    check_kind(body, expected)
    unknown: list[str] = []
    obj: Obj = {"apiVersion": expected.api_version, "kind": expected.kind}
    try:
        obj["metadata"] = decode_metadata(body.get("metadata") or {}, unknown)
    except BadRequest as error:
        raise Undecodable(expected.kind, expected.version, error.message) from None
    obj |= {name: copied(value) for name, value in body.items() if name not in META_FIELDS}
    apply_defaults(obj, schema)
    unknown += prune(obj, schema, resource=True)
    told = [*(f"unknown field {quoted(path)}" for path in sorted(unknown)[:_MOST_TOLD]), *complaints][
        :_MOST_TOLD
    ]
    if told and field_validation == "Strict":
        raise Undecodable(expected.kind, expected.version, f"strict decoding error: {', '.join(told)}")
    return Decoded(obj, tuple(told) if field_validation == "Warn" else ())
