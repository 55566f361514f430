"""Pod templates: when two are the same, and what short name one has."""

from __future__ import annotations

from typing import Any

import msgspec

from wellhead.api.meta import Obj

HASH_LABEL = "pod-template-hash"

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, no 0, 1 and 3: names never spell anything (apimachinery's util/rand)."""


def same_template(one: Obj, other: Obj) -> bool:
    """Whether two pod templates ask for the same, the hash label aside."""
    return _essence(one) == _essence(other)


def template_hash(template: Obj, collision_count: int = 0) -> str:
    """A name for the template: FNV-1a, 32 bits, in letters that are safe in names.

    `collision_count` gives another name to a template whose first name was taken.
    """
    data = msgspec.json.encode(_essence(template), order="sorted")
    if collision_count:
        data += b"%d" % collision_count
    number = 0x811C9DC5
    for byte in data:
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def _essence(template: Obj) -> Obj:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {
        name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL
    }
    essence: Obj = _without_empty({**template, "metadata": metadata})
    return essence


def _without_empty(value: Any) -> Any:
    """The value without fields that hold null, {} or []: the API takes those for absent."""
    if isinstance(value, dict):
        kept = {name: _without_empty(entry) for name, entry in value.items()}
        return {name: entry for name, entry in kept.items() if entry is not None and entry not in ({}, [])}
    if isinstance(value, list):
        return [_without_empty(entry) for entry in value]
    return value
