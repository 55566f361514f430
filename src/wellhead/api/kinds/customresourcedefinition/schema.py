"""What a schema in a definition may say, and its defaults.

Upstream: apiextensions' validation.go, schema/defaulting/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wellhead.api.causes import repeated
from wellhead.api.custom import rules
from wellhead.api.custom.schemas import (
    META_FIELDS,
    is_embedded,
    items,
    properties,
    values,
)
from wellhead.api.custom.validation import validate
from wellhead.api.custom.values import copied, prune
from wellhead.api.errors import Cause
from wellhead.api.kinds.customresourcedefinition.place import Place, below
from wellhead.api.kinds.customresourcedefinition.rule_costs import rule_problems
from wellhead.api.kinds.customresourcedefinition.structure import junctors, structural_problems
from wellhead.api.meta import Obj

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_AT_ROOT_WITH_STATUS = frozenset(
    [
        "description",
        "type",
        "format",
        "title",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "multipleOf",
        "required",
        "items",
        "properties",
        "externalDocs",
        "example",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ]
)
_WITH_STATUS = "at the root of the schema if the status subresource is enabled"
_LIST_KEY = "this property is in x-kubernetes-list-map-keys, so it"
_ALLOWED_AT_ROOT = (
    "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength "
    "Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
    "XPreserveUnknownFields XValidations]"
)
_NOT_SUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")


def schema_problems(schema: Obj, at: str, *, has_status: bool) -> list[Cause]:
    """What is wrong with a version's schema."""
    causes: list[Cause] = []
    if has_status:
        causes += _root_with_status(schema, at)
    if schema.get("nullable"):
        causes.append(Cause.forbidden(f"{at}.nullable", "nullable cannot be true at the root"))
    structural = structural_problems(schema, at)
    causes += structural
    if not structural:
        structural += _defaults(schema, at, inside_meta=False, root=True)
        causes += structural
    with_rules = not structural
    causes += _look(schema, Place(at, root=True))
    if with_rules and not causes:
        causes += rule_problems(schema, at)
    return causes


def _root_with_status(schema: Obj, at: str) -> Iterator[Cause]:
    if schema.get("type") != "object":
        yield Cause.invalid(
            f"{at}.type",
            schema.get("type") or "",
            f'only "object" is allowed as the type {_WITH_STATUS}',
        )
    elif any(name not in _AT_ROOT_WITH_STATUS for name in schema):
        what = f"only {_ALLOWED_AT_ROOT} fields are allowed {_WITH_STATUS}"
        yield Cause.invalid(at, "", what)


def _look(schema: Obj, place: Place) -> Iterator[Cause]:
    at = place.at
    yield from _standard(schema, place)
    if schema.get("uniqueItems"):
        yield Cause.forbidden(
            f"{at}.uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )
    more = schema.get("additionalProperties")
    if properties(schema) and more is not None and more is not True:
        yield Cause.forbidden(
            f"{at}.additionalProperties", "additionalProperties and properties are mutual exclusive"
        )
    for each, inside in below(schema, place):
        yield from _look(each, inside)
    for each, where in junctors(schema, at):
        yield from _look(each, replace(place, at=where))
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield Cause.invalid(f"{at}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    yield from _map_type(schema, at)
    yield from _list_type(schema, at)
    yield from _rule_fields(schema, at)


def _standard(schema: Obj, place: Place) -> Iterator[Cause]:
    at, given = place.at, schema.get("type") or ""
    if given and given not in _TYPES:
        yield Cause.not_supported(f"{at}.type", given, _TYPES)
    if schema.get("default") is not None and place.no_defaults:
        yield Cause.forbidden(f"{at}.default", f"must not be set {place.no_defaults}")
    for name in _NOT_SUPPORTED:
        if schema.get(name):
            yield Cause.forbidden(f"{at}.{name}", f"{name} is not supported")
    if given == "null":
        yield Cause.forbidden(f"{at}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield Cause.forbidden(f"{at}.items", "items must be a schema object and not an array")
    if place.in_meta and is_embedded(schema):
        yield Cause.forbidden(
            f"{at}.x-kubernetes-embedded-resource", "must not be used inside of resource meta"
        )


def _typed(schema: Obj, at: str, wanted: str, keyword: str) -> Iterator[Cause]:
    given = schema.get("type") or ""
    if schema.get(keyword) is not None and given != wanted:
        why = f"must be {wanted} if {keyword} is specified"
        yield Cause.invalid(f"{at}.type", given, why) if given else Cause.required(f"{at}.type", why)


def _map_type(schema: Obj, at: str) -> Iterator[Cause]:
    keyword = "x-kubernetes-map-type"
    yield from _typed(schema, at, "object", keyword)
    if (given := schema.get(keyword)) not in (None, "atomic", "granular"):
        yield Cause.not_supported(f"{at}.{keyword}", given, ("atomic", "granular"))


def _list_type(schema: Obj, at: str) -> Iterator[Cause]:
    keyword, keys_at = "x-kubernetes-list-type", f"{at}.x-kubernetes-list-map-keys"
    given, keys, of = schema.get(keyword), schema.get("x-kubernetes-list-map-keys") or [], items(schema)
    yield from _typed(schema, at, "array", keyword)
    if given not in (None, "atomic", "set", "map"):
        yield Cause.not_supported(f"{at}.{keyword}", given, ("atomic", "set", "map"))
    if given == "set" and schema.get("type") == "array" and of is not None:
        yield from _set_items(of, at)
    if keys and given is None:
        yield Cause.required(f"{at}.{keyword}", "must be map if x-kubernetes-list-map-keys is non-empty")
    elif keys and given != "map":
        yield Cause.invalid(
            f"{at}.{keyword}", given, "must be map if x-kubernetes-list-map-keys is non-empty"
        )
    if given in ("set", "map") and of is not None and of.get("nullable"):
        yield Cause.forbidden(
            f"{at}.items.nullable", f"cannot be nullable when x-kubernetes-list-type is {given}"
        )
    if given != "map":
        return
    if not keys:
        yield Cause.required(keys_at, "must not be empty if x-kubernetes-list-type is map")
    if of is None:
        yield Cause.required(f"{at}.items", "must have a schema if x-kubernetes-list-type is map")
    elif of.get("type") != "object":
        yield Cause.invalid(
            f"{at}.items.type",
            of.get("type") or "",
            "must be object if parent array's x-kubernetes-list-type is map",
        )
    else:
        yield from _map_keys(of, keys, at, keys_at)


def _set_items(of: Obj, at: str) -> Iterator[Cause]:
    why = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if of.get("type") == "array" and of.get("x-kubernetes-list-type") not in (None, "atomic"):
        yield Cause.invalid(f"{at}.items.x-kubernetes-list-type", of["x-kubernetes-list-type"], why)
    if of.get("type") == "object" and of.get("x-kubernetes-map-type") != "atomic":
        yield Cause.invalid(f"{at}.items.x-kubernetes-map-type", of.get("x-kubernetes-map-type"), why)


def _map_keys(of: Obj, keys: list[str], at: str, keys_at: str) -> Iterator[Cause]:
    required = frozenset(of.get("required") or ())
    # Once each: a cause for each key, with all of them in it, would be large.
    if any(name not in properties(of) for name in keys):
        yield Cause.invalid(keys_at, keys, "entries must all be names of item properties")
    if any(repeated(keys)):
        yield Cause.invalid(keys_at, keys, "must not contain duplicate entries")
    for name in dict.fromkeys(keys):
        known = properties(of).get(name)
        if known is None:
            continue
        if known.get("type") in ("array", "object"):
            yield Cause.invalid(
                f"{at}.items.properties[{name}].type",
                of["type"],
                "must be a scalar type if parent array's x-kubernetes-list-type is map",
            )
        if name not in required and "default" not in known:
            yield Cause.required(
                f"{at}.items.properties[{name}].default",
                f"{_LIST_KEY} must have a default or be a required property",
            )
        if known.get("nullable"):
            yield Cause.forbidden(
                f"{at}.items.properties[{name}].nullable",
                f"{_LIST_KEY} cannot be nullable",
            )


def _defaults(schema: Obj, at: str, *, inside_meta: bool, root: bool = False) -> list[Cause]:
    """Whether defaults are values of their schemas, and have no unknown fields."""
    causes: list[Cause] = []
    if is_embedded(schema):
        inside_meta = False
    if (given := schema.get("default")) is not None and not inside_meta:
        pruned = copied(given)
        if prune(pruned, schema, resource=is_embedded(schema)):
            causes.append(Cause.invalid(f"{at}.default", given, "must not have unknown fields"))
        causes += validate(given, schema, path=f"{at}.default")
        if not causes:
            causes += rules.check_rules(
                rules.compile_rules(schema, resource=False), given, given, f"{at}.default"
            )[0]
    if (of := items(schema)) is not None:
        causes += _defaults(of, f"{at}.items", inside_meta=inside_meta)
    for name, each in properties(schema).items():
        in_meta = inside_meta or ((root or is_embedded(schema)) and name in META_FIELDS)
        causes += _defaults(each, f"{at}.properties[{name}]", inside_meta=in_meta)
    return causes


def _rule_fields(schema: Obj, at: str) -> Iterator[Cause]:
    for index, rule in enumerate(schema.get(rules.RULES) or ()):
        here = f"{at}.x-kubernetes-validations[{index}]"
        text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
        said = message.strip()
        if not text:
            yield Cause.required(f"{here}.rule", "rule is not specified")
        elif message and not said:
            yield Cause.invalid(f"{here}.message", message, "must be non-empty if specified")
        elif _has_lines(said):
            yield Cause.invalid(f"{here}.message", message, "must not contain line breaks")
        elif _has_lines(text) and not said:
            yield Cause.required(f"{here}.message", "message must be specified if rule contains line breaks")
        expression = rule.get("messageExpression") or ""
        if expression and not expression.strip():
            yield Cause.required(
                f"{here}.messageExpression", "messageExpression must be non-empty if specified"
            )
        if rule.get("reason") and rule["reason"] not in _REASONS:
            yield Cause.not_supported(f"{here}.reason", rule["reason"], _REASONS)
        path = rule.get("fieldPath") or ""
        if path and not path.strip():
            yield Cause.invalid(f"{here}.fieldPath", path, "must be non-empty if specified")
        if _has_lines(path):
            yield Cause.invalid(f"{here}.fieldPath", path, "must not contain line breaks")
        if path and field_path_problem(path, schema):
            yield Cause.invalid(f"{here}.fieldPath", path, "must be a valid path")


def _has_lines(text: str) -> bool:
    return "\n" in text or "\r" in text


def field_path_problem(path: str, schema: Obj, *, brackets: bool = True) -> str:
    """Why a path leads to no field of a schema; '' if it does."""
    try:
        schema_of_path(path, schema, brackets=brackets)
    except ValueError as error:
        return str(error)
    return ""


def schema_of_path(path: str, schema: Obj, *, brackets: bool = True) -> Obj:
    """The schema of the field at `.a.b['c']`. Raises ValueError."""
    rest = path
    while rest:
        if rest.startswith("["):
            if not brackets:
                raise ValueError("array notation is not allowed")
            quoted, bracket, rest = rest[1:].partition("]")
            if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'" or not bracket:
                raise ValueError(f"expected single quoted string but got {quoted}")
            name = quoted[1:-1].replace("\\'", "'").replace("\\\\", "\\")
        elif rest.startswith("."):
            end = min((at for at in (rest.find(".", 1), rest.find("[", 1)) if at > 0), default=len(rest))
            name, rest = rest[1:end], rest[end:]
            if not name:
                raise ValueError("unexpected end of JSON path")
        else:
            raise ValueError(f"expected [ or . but got: {rest}")
        below = properties(schema).get(name)
        if below is None and not properties(schema):
            below = values(schema)
        if below is None:
            raise ValueError("does not refer to a valid field")
        schema = below
    return schema
