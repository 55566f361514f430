"""Whether a configuration fits its type, in the words of structured-merge-diff's Validate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wellhead.api.managed_fields.elements import NoElement, item_element, shown
from wellhead.api.managed_fields.types import ListType, MapType, Type
from wellhead.text import go_type, quoted


def problems(type: Type, value: Any, path: str = "") -> Iterator[str]:
    """What is wrong with the value: `.spec.replicas: expected numeric (int or float), got string`."""
    if value is None:
        return
    if isinstance(value, dict) and type.map is not None:
        yield from _map_problems(type.map, value, path)
    elif isinstance(value, list) and type.list is not None:
        yield from _list_problems(type.list, value, path)
    elif type.map is not None and not type.scalar:
        yield f"{path}: expected map, got {_described(value)}"
    elif type.list is not None and not type.scalar:
        yield f"{path}: expected list, got {_described(value)}"
    elif problem := _scalar_problem(type.scalar, value):
        yield f"{path}: {problem}"


def _map_problems(known: MapType, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, each in value.items():
        field = known.field(name)
        if field is None:
            yield f"{path}.{name}: field not declared in schema"
        else:
            yield from problems(field.type, each, f"{path}.{name}")


def _list_problems(known: ListType, value: list[Any], path: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(value):
        at = f"[{index}]"
        if not known.atomic:
            try:
                element = item_element(known, item)
            except NoElement as error:
                yield f"{path}: element {index}: {error}"
                return
            at = shown(element)
            if element in seen:
                yield f"{path}: duplicate entries for key {at}"
            seen.add(element)
        yield from problems(known.element, item, path + at)


def _scalar_problem(kind: str, value: Any) -> str:
    is_scalar = not isinstance(value, dict | list)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "numeric" if not is_number:
            return f"expected numeric (int or float), got {go_type(value)}"
        case "string" if not isinstance(value, str):
            return f"expected string, got {_go_value(value)}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got {_described(value)}"
        case "untyped" if not is_scalar:
            return f"expected any scalar, got {_described(value)}"
    return ""


def _go_value(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{_go_syntax(value)}}}"


def _go_syntax(value: Any) -> str:
    """As Go's %#v."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case dict():
            pairs = ", ".join(f"{quoted(key)}:{_go_syntax(value[key])}" for key in sorted(value))
            return f"map[string]interface {{}}{{{pairs}}}"
        case list():
            return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
        case None:
            return "interface {}(nil)"
    return str(value)


def _described(value: Any) -> str:
    return f"&{{{_plain(value)}}}"


def _plain(value: Any) -> str:
    """As Go's %v."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{key}:{_plain(value[key])}" for key in sorted(value)) + "]"
        case list():
            return f"[{' '.join(map(_plain, value))}]"
        case None:
            return "<nil>"
    return str(value)
