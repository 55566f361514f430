"""Is a schema structural? So that what is unknown can be told, and each value's type is said once.

Upstream: apiextensions' schema/validation.go and complete.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from wellhead.api.cel import EvaluationError
from wellhead.api.cel.functions.regex import compiled
from wellhead.api.custom.schemas import is_embedded, is_int_or_string, items, preserves, properties
from wellhead.api.errors import Cause
from wellhead.api.meta import Obj

Level = Literal["root", "item", "field"]

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_WHERE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_FORBIDDEN_WITHIN = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
_JUNCTORS = ("allOf", "anyOf", "oneOf")


def structural_problems(schema: Obj, at: str) -> list[Cause]:
    """In the order of their texts, as upstream has them."""
    return sorted([*_invariants(schema, "root", at), *_completeness(schema, schema, at, at)], key=str)


def junctors(schema: Obj, at: str) -> Iterator[tuple[Obj, str]]:
    """The schemas within that only check values: they say nothing of which fields there are."""
    for name in _JUNCTORS:
        for index, each in enumerate(schema.get(name) or ()):
            yield each, f"{at}.{name}[{index}]"
    if isinstance(schema.get("not"), dict):
        yield schema["not"], f"{at}.not"


def _invariants(schema: Obj, level: Level, at: str) -> Iterator[Cause]:
    of = items(schema)
    if schema.get("type") == "array" and of is None:
        yield Cause.required(f"{at}.items", "must be specified")
    if of is not None:
        yield from _invariants(of, "item", f"{at}.items")
    for name, each in properties(schema).items():
        yield from _invariants(each, "field", f"{at}.properties[{name}]")
    more = schema.get("additionalProperties")
    if more is not None:
        if level == "root":
            yield Cause.forbidden(f"{at}.additionalProperties", "must not be used at the root")
        if isinstance(more, dict):
            yield from _invariants(more, "field", f"{at}.additionalProperties")
    yield from _extensions(schema, at)
    first = (schema.get("allOf") or [{}])[0]
    yield from _value_rules(
        schema, at, any_of=schema.get("anyOf") == _INT_OR_STRING, first=first.get("anyOf") == _INT_OR_STRING
    )
    yield from _types(schema, level, at)
    yield from _meta_fields(schema, level, at)


def _extensions(schema: Obj, at: str) -> Iterator[Cause]:
    if is_int_or_string(schema):
        for name, on in (
            ("preserve-unknown-fields", preserves(schema)),
            ("embedded-resource", is_embedded(schema)),
        ):
            if on:
                yield Cause.invalid(
                    f"{at}.x-kubernetes-{name}", True, "must be false if x-kubernetes-int-or-string is true"
                )


def _types(schema: Obj, level: Level, at: str) -> Iterator[Cause]:
    given = schema.get("type") or ""
    if is_embedded(schema) and given != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        yield Cause.invalid(f"{at}.type", given, why) if given else Cause.required(f"{at}.type", why)
    elif not given and not is_int_or_string(schema) and not preserves(schema):
        yield Cause.required(f"{at}.type", _WHERE[level])
    if is_embedded(schema) and schema.get("additionalProperties") is not None:
        yield Cause.forbidden(
            f"{at}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set"
        )
    if level == "root" and given not in ("", "object"):
        yield Cause.invalid(f"{at}.type", given, "must be object at the root")


def _meta_fields(schema: Obj, level: Level, at: str) -> Iterator[Cause]:
    known = properties(schema)
    if level == "root" or is_embedded(schema):
        for name in ("kind", "apiVersion"):
            if name in known and known[name].get("type") != "string":
                given = known[name].get("type") or ""
                yield Cause.invalid(f"{at}.properties[{name}].type", given, "must be string")
        if "metadata" in known and known["metadata"].get("type") != "object":
            given = known["metadata"].get("type") or ""
            yield Cause.invalid(f"{at}.properties[metadata].type", given, "must be object")
    if level == "root" and "metadata" in known:
        metadata = {
            name: value for name, value in known["metadata"].items() if name not in ("type", "default")
        }
        if set(metadata.get("properties") or ()) <= {"name", "generateName"}:
            metadata.pop("properties", None)
        if metadata:
            yield Cause.forbidden(
                f"{at}.properties[metadata]",
                "must not specify anything other than name and generateName, but metadata is "
                "implicitly specified",
            )
    if is_embedded(schema) and not preserves(schema) and not known:
        yield Cause.required(
            f"{at}.properties",
            "must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields",
        )


def _value_rules(schema: Obj, at: str, *, any_of: bool = False, first: bool = False) -> Iterator[Cause]:
    """`any_of`, `first`: that one says int or string, which is allowed to say types."""
    for each, where in junctors(schema, at):
        if any_of and where.startswith(f"{at}.anyOf["):
            continue
        yield from _nested(each, where, first and where == f"{at}.allOf[0]")
    if pattern := schema.get("pattern"):
        try:
            compiled(pattern)
        except EvaluationError as error:
            why = f"must be a valid regular expression, but isn't: {error}"
            yield Cause.invalid(f"{at}.pattern", pattern, why)


def _nested(schema: Obj, at: str, any_of: bool) -> Iterator[Cause]:
    yield from _value_rules(schema, at, any_of=any_of)
    if (of := items(schema)) is not None:
        yield from _nested(of, f"{at}.items", False)
    for name, each in properties(schema).items():
        yield from _nested(each, f"{at}.properties[{name}]", False)
    for name, why in _FORBIDDEN_WITHIN.items():
        if schema.get(name) or (name in ("default", "additionalProperties") and schema.get(name) is not None):
            yield Cause.forbidden(f"{at}.{name}", why)
    if "metadata" in properties(schema):
        yield Cause.forbidden(f"{at}.properties[metadata]", "must not be specified in a nested context")


def _completeness(checks: Obj, schema: Obj, at: str, checks_at: str) -> Iterator[Cause]:
    """Whether every field that is only checked is also said to be there."""
    for each, where in junctors(checks, checks_at):
        yield from _nested_completeness(each, schema, at, where)
    if checks is schema:
        for name, below in properties(schema).items():
            here = f"{at}.properties[{name}]"
            yield from _completeness(below, below, here, here)
        for name in ("items", "additionalProperties"):
            if isinstance(inner := schema.get(name), dict):
                yield from _completeness(inner, inner, f"{at}.{name}", f"{at}.{name}")


def _nested_completeness(checks: Obj, schema: Obj | None, at: str, checks_at: str) -> Iterator[Cause]:
    if schema is None:
        yield Cause.required(at, f"because it is defined in {checks_at}")
        return
    yield from _completeness(checks, schema, at, checks_at)
    if (of := items(checks)) is not None:
        yield from _nested_completeness(of, items(schema), f"{at}.items", f"{checks_at}.items")
    for name, each in properties(checks).items():
        where = f"properties[{name}]"
        said = properties(schema).get(name)
        yield from _nested_completeness(each, said, f"{at}.{where}", f"{checks_at}.{where}")
