"""JSON within bounds: counted before it is decoded, since three megabytes can be a million empty maps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate

import msgspec

from wellhead.api.documents.document import Document, Unreadable, too_deep, too_many_values
from wellhead.api.documents.syntax import syntax_problem, with_replacements
from wellhead.api.limits import Limits, extent_of
from wellhead.api.schema import field_path

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {byte: 1 if byte in b"[{" else -1 for byte in b"[]{}"}


def read_json(body: bytes, limits: Limits) -> Document:
    """The value of a JSON text; of keys that are there twice, the last one counts.

    Raises BadRequest, RequestEntityTooLarge.
    """
    structure = _outside_strings(body, limits)
    opened = structure.count(b"[") + structure.count(b"{")
    if opened + structure.count(b",") > limits.body_values:
        raise too_many_values(limits)
    if opened > limits.nesting and _depth(structure) > limits.nesting:
        raise too_deep("json", limits)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if (readable := with_replacements(body)) != body:
            return read_json(readable, limits)
        problem = syntax_problem(body, str(error))
        raise Unreadable(f"json parse error: {problem}", problem) from None
    if structure.count(b":") == extent_of(value).keys:
        return Document(value)
    return Document(value, tuple(_duplicates(body)))


def _outside_strings(body: bytes, limits: Limits) -> bytes:
    """The text without its strings: brackets, commas, colons, numbers. Raises RequestEntityTooLarge."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * limits.body_values:  # a key and a string for each value
        raise too_many_values(limits)
    return b"".join(plain.split(b'"')[::2])


def _depth(structure: bytes) -> int:
    brackets = structure.translate(None, delete=_NOT_BRACKETS)
    return max(accumulate(_STEPS[byte] for byte in brackets))


class _Pairs(list[tuple[str, object]]):
    """A map as it was written."""


def _duplicates(body: bytes) -> Iterator[str]:
    """What Kubernetes' strict decoder says of keys that are there twice."""
    todo: list[tuple[tuple[str | int, ...], object]] = [((), json.loads(body, object_pairs_hook=_Pairs))]
    while todo:
        path, value = todo.pop()
        if isinstance(value, _Pairs):
            seen = set()
            for name, each in value:
                if name in seen:
                    yield f'duplicate field "{field_path((*path, name))}"'
                seen.add(name)
                todo.append(((*path, name), each))
        elif isinstance(value, list):
            todo += (((*path, index), each) for index, each in enumerate(value))
