"""Is a body an object of its kind? Types and unknown fields, as upstream's decoder sees them.

The rules of a kind (which values, which combinations) are not here: see `strategy`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from wellhead.api.definitions import (
    INT_OR_STRING,
    MICRO_TIME,
    QUANTITY,
    TIME,
    TIMES,
    Definitions,
    Field,
    RawDefinitions,
    definition_name,
    definitions,
    json_type,
    reference,
)
from wellhead.api.errors import BadRequest, Undecodable, shortened, shown
from wellhead.api.meta import GroupVersionKind, Obj, format_micro_time, format_time, parse_time
from wellhead.api.quantity import canonical
from wellhead.text import quoted

# Loaded with the first object that is decoded: who only reads what an API server sends needs none of it.
if TYPE_CHECKING:
    import jsonschema_rs

FieldValidation = Literal["Strict", "Warn", "Ignore"]
Path = tuple[str | int, ...]

_MOST_TOLD = 100  # complaints of strict decoding
_INTEGER_BITS = {"int32": 32, "int64": 64}
_INTEGERS = frozenset({"int32", "int64", "integer", INT_OR_STRING})
_GO_TYPES = {"boolean": "bool", "number": "float64", "integer": "int", "byte": "[]uint8"}
_ZEROS = {
    "string": "",
    "byte": "",
    "boolean": False,
    "number": 0,
    QUANTITY: "0",
    **dict.fromkeys(_INTEGERS, 0),
}
"""Of what has no fields; of all else, null."""


@dataclass(frozen=True)
class Decoded:
    """A body as an object of its kind, without what is nothing there; `warnings` name unknown fields."""

    object: Obj
    warnings: tuple[str, ...] = ()


def decode(
    body: object,
    expected: GroupVersionKind,
    field_validation: FieldValidation = "Warn",
    complaints: Sequence[str] = (),
) -> Decoded:
    """Check `body` against the schema of `expected` and return what remains to be defaulted and validated.

    The body itself is not changed. Fields that are null count as absent, and so vanish; so do empty lists and
    maps, but for those that a type requires. In a list or a map, null is the zero of its type.
    A missing apiVersion or kind is filled in. Unknown fields are an error under Strict, pruned with a warning
    under Warn (what upstream does unless asked otherwise), pruned silently under Ignore. `complaints` are
    treated like them: what a strict reader of the text found.

    Raises BadRequest in upstream's words.
    """
    if not isinstance(body, dict):
        raise BadRequest(f"couldn't get version/kind; json parse error: not a {expected.kind} object")
    check_kind(body, expected)
    known = definitions(expected)
    reading = _Reading(known)
    try:
        obj: Obj = reading.cleaned(body, known.root)
    except ValueError as error:
        raise Undecodable(expected.kind, expected.version, str(error)) from None
    obj["apiVersion"], obj["kind"] = expected.api_version, expected.kind
    try:
        _validator(expected).validate(obj)
    except _refusal() as error:  # the first: collecting them all would hold up others
        raise Undecodable(expected.kind, expected.version, _explain(obj, expected, error)) from None
    unknown = sorted(_unknown(body, known, known.root)) if reading.met_unknown else []
    told = [*(f"unknown field {quoted(path)}" for path in unknown[:_MOST_TOLD]), *complaints][:_MOST_TOLD]
    if told and field_validation == "Strict":
        raise Undecodable(expected.kind, expected.version, f"strict decoding error: {', '.join(told)}")
    return Decoded(obj, tuple(told) if field_validation == "Warn" else ())


def blank_status(gvk: GroupVersionKind) -> Obj:
    """The status of an object of which nothing is known yet: what Go writes always."""
    known = definitions(gvk)
    field = known.field(known.root, "status")
    blank: Obj = _Reading(known).cleaned({}, field.type) if field is not None else {}
    return blank


def check_kind(body: Obj, expected: GroupVersionKind) -> None:
    """Whether the apiVersion and kind of a body, where it has them, are these. Raises BadRequest."""
    for field in ("apiVersion", "kind"):
        value = body.get(field)
        if value is not None and not isinstance(value, str):
            raise BadRequest(
                "couldn't get version/kind; json parse error: json: cannot unmarshal"
                f" {json_kind(value)} into Go struct field .{field} of type string"
            )
    given = GroupVersionKind.of(body)
    if body.get("apiVersion") and given.api_version != expected.api_version:
        raise BadRequest(
            f"the API version in the data ({shortened(given.api_version)}) does not match "
            f"the expected API version ({expected.api_version})"
        )
    if body.get("kind") and given.kind != expected.kind:
        kind = shortened(given.kind)
        raise BadRequest(
            f'{kind} in version "{expected.version}" cannot be handled as a {expected.kind}: '
            f"converting ({kind}) to ({expected.kind}): unknown conversion"
        )


_HAS_METADATA = GroupVersionKind("", "v1", "ConfigMap")  # any kind: its metadata's type is everybody's


def decode_metadata(value: object, unknown: list[str] | None = None) -> Obj:
    """metadata of an object whose kind isn't built in: what is unknown in it goes, and is told in `unknown`.

    Raises BadRequest in upstream's words.
    """
    known = definitions(_HAS_METADATA)
    reading = _Reading(known)
    try:
        obj = reading.cleaned({"metadata": value}, known.root)
        _validator(_HAS_METADATA).validate(obj)
    except _refusal() as error:
        raise BadRequest(_explain(obj, _HAS_METADATA, error)) from None
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if reading.met_unknown and unknown is not None:
        unknown += _unknown({"metadata": value}, known, known.root)
    metadata: Obj = obj.get("metadata") or {}
    return metadata


class _Reading:
    """A walk through a body by its types, which notes of unknown fields only that there are some."""

    def __init__(self, known: Definitions) -> None:
        self._known = known
        self.met_unknown = False

    def cleaned(self, value: Any, kind: str) -> Any:
        """A copy of a value of that type without what is unknown, null, or nothing and left out by Go; with
        what Go writes always.

        Raises ValueError.
        """
        fields = self._known.fields(kind) if isinstance(value, dict) else None
        if not fields:
            return _cleaned_scalar(value, kind)
        kept: Obj = {}
        for name, item in value.items():
            field = fields.get(name)
            if field is None:
                self.met_unknown = True
            elif item is not None:
                if isinstance(item, dict | list):
                    clean = self._field(item, field)
                else:
                    clean = _cleaned_scalar(item, field.type)
                # What is empty but of another type than it should be stays, and will be refused.
                if clean or clean != field.nothing or type(clean) is not type(field.nothing):
                    kept[name] = clean
        for name, nothing in self._known.always(kind):
            if name in kept:
                continue
            if nothing != {}:
                kept[name] = nothing
            elif self._known.fields(fields[name].type):
                kept[name] = self.cleaned({}, fields[name].type)
        return kept

    def _field(self, value: Any, field: Field) -> Any:
        if field.shape == "map" and isinstance(value, dict):
            return {
                key: self.cleaned(each, field.type) if each is not None else self._zero(field.type)
                for key, each in value.items()
            }
        if field.shape == "list" and isinstance(value, list):
            return [
                self.cleaned(each, field.type) if each is not None else self._zero(field.type)
                for each in value
            ]
        return self.cleaned(value, field.type)

    def _zero(self, kind: str) -> Any:
        """What Go makes of a null in a list or a map."""
        return self.cleaned({}, kind) if self._known.fields(kind) else _ZEROS.get(kind)


def _cleaned_scalar(value: Any, kind: str) -> Any:
    """What has no fields that are known. Raises ValueError."""
    if isinstance(value, str):
        if kind == QUANTITY:
            return canonical(value)
        return _REWRITTEN[kind](value) if kind in _REWRITTEN else value
    if isinstance(value, float) and kind in _INTEGERS:  # JSON Schema takes 1.0 for an integer
        raise ValueError(f"json: cannot unmarshal number {value} into Go value of type {_go_type(kind)}")
    if kind == QUANTITY and isinstance(value, int | float) and not isinstance(value, bool):
        return canonical(value)
    return value


def _written(length: int, write: Callable[[datetime], str]) -> Callable[[str], str]:
    """A moment as it comes back, whatever the time zone and digits that it was sent with."""

    def rewritten(text: str) -> str:
        if (len(text) == length and text.endswith("Z")) or not _is_time(text):
            return text
        return write(parse_time(text))

    return rewritten


_rewritten_micro = _written(27, format_micro_time)


def _micro_time(text: str) -> str:
    """A moment with six digits after the point: Go takes no other. Raises ValueError."""
    if _is_time(text) and not _MICROS.match(text, _SECONDS_END):
        six = _DIGITS.match(text, _SECONDS_END)
        rest, wanted = (text[_SECONDS_END:], ".000000") if six is None else (text[six.end() :], "Z07:00")
        raise ValueError(
            f'parsing time {quoted(text)} as "2006-01-02T15:04:05.000000Z07:00":'
            f' cannot parse {quoted(rest)} as "{wanted}"'
        )
    return _rewritten_micro(text)


def _unwrapped(text: str) -> str:
    """Base64 in one line, as Go writes it; it reads any."""
    return text.replace("\n", "").replace("\r", "")


_REWRITTEN: Mapping[str, Callable[[str], str]] = {
    TIME: _written(20, format_time),
    MICRO_TIME: _micro_time,
    "byte": _unwrapped,
}
"""What is written otherwise than it was sent, by type."""


def _unknown(value: Any, known: Definitions, type: str, path: Path = ()) -> Iterator[str]:
    """The paths of fields that the type of a valid value doesn't have."""
    fields = known.fields(type)
    if not fields or not isinstance(value, dict):
        return
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            yield field_path((*path, name))
        elif isinstance(item, list):
            for index, each in enumerate(item):
                yield from _unknown(each, known, field.type, (*path, name, index))
        elif field.shape == "map" and isinstance(item, dict):
            for key, each in item.items():
                yield from _unknown(each, known, field.type, (*path, name, key))
        else:
            yield from _unknown(item, known, field.type, (*path, name))


def field_path(parts: Sequence[str | int]) -> str:
    """`spec.containers[0].name`, as messages and causes write it."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _explain(obj: Obj, gvk: GroupVersionKind, error: jsonschema_rs.ValidationError) -> str:
    value: Any = obj
    for part in error.instance_path:
        value = value[part]
    if error.kind.name == "format":
        if error.kind.value == "byte":
            return "illegal base64 data at input byte 0"
        time = shown(value)
        return f'parsing time {time} as "2006-01-02T15:04:05Z07:00": cannot parse {time} as "2006"'
    struct, names, wanted = _go_field(gvk, error.instance_path)
    given = f"number {shown(value)}" if error.kind.name in ("maximum", "minimum") else json_kind(value)
    return f"json: cannot unmarshal {given} into Go struct field {struct}.{names} of type {wanted}"


def _go_field(gvk: GroupVersionKind, path: Sequence[str | int]) -> tuple[str, str, str]:
    """The struct that holds the field at `path`, the fields on the way, the field's type, in Go's terms."""
    known = definitions(gvk)
    struct, current, go_type = known.root, known.root, gvk.kind
    shape = "object"
    names: list[str] = []
    for part in path:
        if shape in ("list", "map"):
            shape, go_type = "object", _go_type(current)
            continue
        names.append(str(part))
        field = known.field(current, names[-1])
        if field is None:
            break
        struct, current, shape = current, field.type, field.shape
        prefix = {"list": "[]", "map": "map[string]"}.get(field.shape, "")
        go_type = prefix + _go_type(field.type)
    return struct.rpartition(".")[2], ".".join(names), go_type


def _go_type(type: str) -> str:
    if "." not in type:
        return _GO_TYPES.get(type, type)
    package, _, name = type.rpartition(".")
    return f"{package.rpartition('.')[2]}.{name}"


def json_kind(value: object) -> str:
    """What Go's decoder calls a value of JSON."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
    return "number"


def _refusal() -> type[jsonschema_rs.ValidationError]:
    from jsonschema_rs import ValidationError

    return ValidationError


@lru_cache
def _validator(gvk: GroupVersionKind) -> jsonschema_rs.Draft202012Validator:
    from jsonschema_rs import Draft202012Validator

    root = definition_name(gvk)
    schemas = RawDefinitions().reachable([root])
    if not schemas:
        raise KeyError(str(gvk))
    return Draft202012Validator(
        {
            "$ref": f"#/$defs/{root}",
            "$defs": {name: _decoding_schema(name, schema) for name, schema in schemas.items()},
        },
        validate_formats=True,
        formats=_FORMATS,
    )


def _decoding_schema(name: str, schema: Obj) -> Obj:
    """What decoding looks at in a definition: not what is required, nor which strings are allowed."""
    if name == QUANTITY:
        return {"type": ["string", "number"]}
    if name == INT_OR_STRING:
        return {"type": ["string", "integer"]}
    if target := reference(schema):
        return {"$ref": f"#/$defs/{target}"}
    kind = json_type(schema)
    # Nulls that were sent are gone; these are what Go writes of nothing.
    kept: Obj = {"type": [kind, "null"] if name in TIMES or kind == "array" else kind} if kind else {}
    if bits := _INTEGER_BITS.get(schema.get("format", "")):
        kept |= {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
    elif "format" in schema and kind == "string":
        kept["format"] = schema["format"]
    if "items" in schema:
        kept["items"] = _decoding_schema("", schema["items"])
    if "properties" in schema:
        kept["properties"] = {
            field: _decoding_schema("", value) for field, value in schema["properties"].items()
        }
    match schema.get("additionalProperties"):
        case False:
            kept["additionalProperties"] = False
        case dict() as values:
            kept["additionalProperties"] = _decoding_schema("", values)
    return kept


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(_unwrapped(text), validate=True)
    except ValueError:  # also of what isn't ASCII
        return False
    return True


def _is_time(text: str) -> bool:
    """RFC 3339 as Go reads it, and a moment that can be written in UTC."""
    if not _TIME.fullmatch(text):
        return False
    try:
        parse_time(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_SECONDS_END = len("2006-01-02T15:04:05")
_DIGITS = re.compile(r"[.,][0-9]{6}", re.ASCII)
_MICROS = re.compile(r"[.,][0-9]{6}[^0-9]", re.ASCII)
_FORMATS: dict[str, Callable[[str], bool]] = {"byte": _is_base64, "date-time": _is_time}
