"""Formats that a definition's schemas ask for and nobody looks at."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.meta import Obj

_SCHEMAS = ("items", "additionalProperties", "additionalItems", "not")
_LISTS = ("allOf", "anyOf", "oneOf", "items")
_MAPS = ("properties", "patternProperties", "definitions", "dependencies")


def unrecognized_formats(schema: Obj) -> Iterator[str]:
    """Their names, in the order in which they stand there, each as often."""
    from wellhead.api.custom.string_formats import is_recognized

    name = schema.get("format") or ""
    if name and not is_recognized(name, schema.get("type") or ""):
        yield name
    for field in _SCHEMAS:
        if isinstance(below := schema.get(field), dict):
            yield from unrecognized_formats(below)
    for field in _LISTS:
        for below in each if isinstance(each := schema.get(field), list) else ():
            yield from unrecognized_formats(below)
    for field in _MAPS:
        for below in (schema.get(field) or {}).values():
            if isinstance(below, dict):
                yield from unrecognized_formats(below)
