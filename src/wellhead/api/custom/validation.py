"""Is a value what its schema asks for? In upstream's words, with its causes.

Upstream: kube-openapi's validate, as apiextensions' validation.go turns its errors into causes. On an update,
what is as it was isn't looked at again (ratcheting): a stricter schema doesn't catch old objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wellhead.api.cel import EvaluationError
from wellhead.api.cel.functions.regex import compiled
from wellhead.api.custom.schemas import (
    ROOT,
    child,
    correlated,
    is_int_or_string,
    items,
    properties,
    shown_path,
    values,
)
from wellhead.api.custom.string_formats import is_of_format
from wellhead.api.errors import Cause, shown
from wellhead.api.meta import Obj
from wellhead.text import quoted

_NOTHING: Any = object()
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
MOST_CAUSES = 100


def validate(value: Any, schema: Obj, old: Any = _NOTHING, path: str = "") -> list[Cause]:
    """What is wrong with a value; `old` is what it replaces, if anything."""
    causes: list[Cause] = []
    _validate(value, schema, old, path, causes)
    return causes


def blocks_rules(causes: Sequence[Cause]) -> bool:
    """Whether rules can't be evaluated on such a value."""
    return any(cause.reason in _BLOCKING for cause in causes)


def _validate(value: Any, schema: Obj, old: Any, path: str, causes: list[Cause]) -> None:
    if len(causes) > MOST_CAUSES or (old is not _NOTHING and _same(value, old)):
        return
    _check_type(value, schema, path, causes)
    _check_enum(value, schema, path, causes)
    if isinstance(value, str):
        _check_string(value, schema, path, causes)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema, path, causes)
    elif isinstance(value, list):
        _check_list(value, schema, old, path, causes)
    elif isinstance(value, dict):
        _check_object(value, schema, old, path, causes)
    _check_junctors(value, schema, path, causes)


def _same(value: Any, old: Any) -> bool:
    return type(value) is type(old) and value == old


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _invalid_type(path: str, wanted: str, data: str) -> Cause:
    message = f"{path or ''} in body must be of type {wanted}: {quoted(data)}"
    return Cause(shown_path(path), "FieldValueTypeInvalid", f"Invalid value: {quoted(data)}: {message}")


def _check_type(value: Any, schema: Obj, path: str, causes: list[Cause]) -> None:
    wanted = ("integer", "string") if is_int_or_string(schema) else (schema.get("type") or "",)
    if wanted == ("",):
        return
    given = _json_type(value)
    if given == "null" and schema.get("nullable"):
        return
    if given in wanted or (given == "integer" and "number" in wanted):
        return
    if given == "number" and "integer" in wanted and math.isfinite(value) and float(value).is_integer():
        return
    causes.append(_invalid_type(path, ",".join(wanted), given))


def _check_enum(value: Any, schema: Obj, path: str, causes: list[Cause]) -> None:
    enum = schema.get("enum")
    if not enum or (value is None and schema.get("nullable")):
        return
    if any(type(each) is type(value) and each == value for each in enum):
        return
    names = [each if isinstance(each, str) else shown(each) for each in enum]
    causes.append(Cause.not_supported(shown_path(path), value, names))


def _said(path: str, value: Any, what: str) -> Cause:
    return Cause.invalid(shown_path(path), value, f"{path} in body {what}")


def _check_string(value: str, schema: Obj, path: str, causes: list[Cause]) -> None:
    if (most := schema.get("maxLength")) is not None and len(value) > most:
        causes.append(Cause.too_long(shown_path(path), most))
    if (least := schema.get("minLength")) is not None and len(value) < least:
        causes.append(_said(path, value, f"should be at least {least} chars long"))
    if pattern := schema.get("pattern"):
        try:
            matches = compiled(pattern).search(value) is not None
        except EvaluationError:
            matches = False
        if not matches:
            causes.append(_said(path, value, f"should match '{pattern}'"))
    form = schema.get("format")
    if form and schema.get("type", "string") == "string" and not is_of_format(value, form):
        causes.append(_invalid_type(path, form, value))


def _check_number(value: float, schema: Obj, path: str, causes: list[Cause]) -> None:
    if (most := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum") and value >= most:
            causes.append(_said(path, value, f"should be less than {_number(most)}"))
        elif value > most:
            causes.append(_said(path, value, f"should be less than or equal to {_number(most)}"))
    if (least := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum") and value <= least:
            causes.append(_said(path, value, f"should be greater than {_number(least)}"))
        elif value < least:
            causes.append(_said(path, value, f"should be greater than or equal to {_number(least)}"))
    if (factor := schema.get("multipleOf")) and not _is_multiple(value, factor):
        causes.append(_said(path, value, f"should be a multiple of {_number(factor)}"))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _is_multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and isinstance(factor, int):
        return value % factor == 0
    return float(value / factor).is_integer()


def _check_list(value: list[Any], schema: Obj, old: Any, path: str, causes: list[Cause]) -> None:
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        causes.append(Cause.too_many(shown_path(path), len(value), most))
    if (least := schema.get("minItems")) is not None and len(value) < least:
        causes.append(_said(path, len(value), f"should have at least {least} items"))
    of = items(schema)
    if of is None:
        return
    for index, (item, was) in enumerate(zip(value, correlated(schema, old, value), strict=True)):
        _validate(item, of, _NOTHING if was is None else was, f"{path}[{index}]", causes)


def _check_object(value: Obj, schema: Obj, old: Any, path: str, causes: list[Cause]) -> None:
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        causes.append(Cause.too_many(shown_path(path), len(value), most))
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        causes.append(_said(path, len(value), f"should have at least {least} properties"))
    causes += [
        Cause.required(child(path, name)) for name in schema.get("required") or () if name not in value
    ]
    known, of = properties(schema), values(schema)
    before = old if isinstance(old, dict) else {}
    for name, item in value.items():
        below = known.get(name, of)
        if below is not None:
            _validate(item, below, before.get(name, _NOTHING), child(path, name), causes)
        elif schema.get("additionalProperties") is False and name not in known:
            what = f"{child(path, name)} in body is a forbidden property"
            causes.append(Cause.invalid(shown_path(path), "", what))


def _check_junctors(value: Any, schema: Obj, path: str, causes: list[Cause]) -> None:
    if every := schema.get("allOf"):
        found = [validate(value, each, path=path) for each in every]
        if any(found):
            none = "" if not all(found) else ". None validated"
            causes.append(_junctor(path, f"must validate all the schemas (allOf){none}"))
            causes += [cause for each in found for cause in each]
    if some := schema.get("anyOf"):
        found = [validate(value, each, path=path) for each in some]
        if all(found):
            causes.append(_junctor(path, "must validate at least one schema (anyOf)"))
            causes += _fewest(found)
    if one := schema.get("oneOf"):
        found = [validate(value, each, path=path) for each in one]
        valid = sum(not each for each in found)
        if valid == 0:
            causes.append(_junctor(path, "must validate one and only one schema (oneOf). Found none valid"))
            causes += _fewest(found)
        elif valid > 1:
            many = f"Found {valid} valid alternatives"
            causes.append(_junctor(path, f"must validate one and only one schema (oneOf). {many}"))
    if (no := schema.get("not")) is not None and not validate(value, no, path=path):
        causes.append(_junctor(path, "must not validate the schema (not)"))


def _junctor(path: str, what: str) -> Cause:
    return Cause.invalid(ROOT, "", f"{quoted(path)} {what}")


def _fewest(found: list[list[Cause]]) -> list[Cause]:
    """What speaks against the alternative that comes nearest."""
    return min(found, key=len)
