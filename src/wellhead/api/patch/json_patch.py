"""JSON patch, RFC 6902, with JSON pointers, RFC 6901: evanphx/json-patch's rules, words and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from wellhead.api.errors import ApiError, BadRequest, Invalid, RequestEntityTooLarge, Undecodable, shown
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.meta import Obj
from wellhead.api.patch.refusal import refused
from wellhead.api.schema import json_kind
from wellhead.text import quoted

_OPERATIONS = {
    "add": (),
    "remove": (),
    "replace": (),
    "move": ("from",),
    "copy": ("from",),
    "test": (),
}
_STRINGS = ("op", "path", "from")
_FIELDS = frozenset({*_STRINGS, "value"})
_INDEX = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def apply_json_patch(obj: Obj, patch: object, limits: Limits = DEFAULTS) -> Obj:
    """`obj` after all operations, in order.

    Raises BadRequest for a patch that isn't one, RequestEntityTooLarge for too many operations, Invalid (422)
    if it doesn't apply: a path that isn't there, a failed `test`, copies that add up to too much.
    """
    operations = _operations(patch)
    if len(operations) > limits.patch_operations:
        raise RequestEntityTooLarge(
            "Request entity too large: The allowed maximum operations in a JSON patch is"
            f" {limits.patch_operations}, got {len(operations)}"
        ).exceeding("patch-operations")
    document = _Document(obj, limits)
    for operation in operations:
        name = operation.get("op")
        if name not in _OPERATIONS:
            raise _refused(f"Unexpected kind: {'unknown' if name is None else shown(name)}")
        missing = [field for field in ("path", *_OPERATIONS[name]) if operation.get(field) is None]
        if missing:
            raise _refused(f"{name} operation without {missing[0]}")
        document.apply(name, operation)
    if not isinstance(document.value, dict):
        raise refused(Undecodable("", "", "couldn't get version/kind; json parse error"), document.value)
    return document.value


def unknown_fields(patch: object) -> Iterator[str]:
    """What a strict reader says of the fields that operations don't have."""
    for index, operation in enumerate(patch if isinstance(patch, list) else ()):
        for name in operation if isinstance(operation, dict) else ():
            if name not in _FIELDS:
                yield f"unknown field {quoted(f'[{index}].{name}')}"


def _operations(patch: object) -> list[Obj]:
    """Null is a patch without operations, and an operation without fields. Raises BadRequest."""
    if patch is None:
        return []
    if not isinstance(patch, list):
        raise _undecodable(patch, "value of type []handlers.jsonPatchOp")
    for operation in patch:
        if not isinstance(operation, dict | None):
            raise _undecodable(operation, "value of type handlers.jsonPatchOp")
    operations: list[Obj] = [operation or {} for operation in patch]
    for operation in operations:
        for field in _STRINGS:
            if not isinstance(operation.get(field), str | None):
                raise _undecodable(operation[field], f"struct field jsonPatchOp.{field} of type string")
    return operations


def _undecodable(value: object, wanted: str) -> BadRequest:
    return BadRequest(f"error decoding patch: json: cannot unmarshal {json_kind(value)} into Go {wanted}")


class _Document:
    """What the operations change. It shares nothing with the object or the patch."""

    def __init__(self, obj: Obj, limits: Limits) -> None:
        self.value: Any = _copy(obj)
        self._limits = limits
        self._copied = 0
        self._moves = 0

    def apply(self, name: str, operation: Obj) -> None:
        """Raises BadRequest, Invalid."""
        path = _Pointer(name, operation["path"])
        match name:
            case "add":
                self._add(path, _copy(operation.get("value")))
            case "remove":
                self._remove(path)
            case "replace":
                self._replace(path, _copy(operation.get("value")))
            case "test":
                there = self._get(path) if path.text else self.value
                if not _same(there, operation.get("value")):
                    raise _refused(f"testing value {path.text} failed: test failed")
            case "move":
                source = _Pointer(name, operation["from"])
                if path.parts[: len(source.parts)] == source.parts and path.parts != source.parts:
                    raise _refused(f"move operation does not apply: {path.text} is inside what moves")
                self._add(path, self._remove(source))
            case "copy":
                self._add(path, self._duplicate(_Pointer(name, operation["from"])))

    def _get(self, path: _Pointer) -> Any:
        """What is there; of an object's field that isn't, null."""
        container, last = self._container(path), path.parts[-1]
        if isinstance(container, dict):
            return container.get(last)
        return container[path.key(container, last)]

    def _container(self, path: _Pointer) -> Any:
        """What holds the pointer's last part: nothing holds the whole, which one can only test or replace."""
        if not path.parts:
            raise path.missing()
        value = self.value
        for part in path.parts[:-1]:
            value = value[path.key(value, part)]
        if not isinstance(value, dict | list):
            raise path.missing()
        return value

    def _add(self, path: _Pointer, value: Any) -> None:
        container, last = self._container(path), path.parts[-1]
        if isinstance(container, dict):
            container[last] = value
            return
        index = len(container) if last == "-" else path.index(last, len(container) + 1)
        self._move(len(container) - index)
        container.insert(index, value)

    def _remove(self, path: _Pointer) -> Any:
        container = self._container(path)
        key = path.key(container, path.parts[-1])
        if isinstance(container, list):
            self._move(len(container) - key)
        return container.pop(key)

    def _replace(self, path: _Pointer, value: Any) -> None:
        if not path.text:
            if not isinstance(value, dict | list):
                raise _refused("replace operation value must be object or array")
            self.value = value
            return
        container, last = self._container(path), path.parts[-1]
        # An object's field needn't be there; a list's item must.
        container[last if isinstance(container, dict) else path.key(container, last)] = value

    def _duplicate(self, path: _Pointer) -> Any:
        """A copy of what is there, as long as all copies together aren't too much."""
        try:
            data = _encode(self._get(path))
        except RecursionError:
            raise _refused("what it copies is nested too deep").exceeding("nesting") from None
        self._copied += len(data)
        if self._copied > self._limits.patch_copied_bytes:
            raise _refused(
                "Unable to complete the copy, the accumulated size increase of copy is"
                f" {self._copied}, exceeding the limit {self._limits.patch_copied_bytes}"
            ).exceeding("patch-copied-bytes")
        return _decode(data)

    def _move(self, items: int) -> None:
        """Count the list items that make room or close up: each operation on a long list moves all of it."""
        self._moves += items
        if self._moves > self._limits.patch_moves:
            raise _refused("its operations on long lists are too much work").exceeding("patch-moves")


class _Pointer:
    """Where an operation applies."""

    def __init__(self, operation: str, text: object) -> None:
        self.text = str(text)
        self._operation = operation
        # What stands before the first slash doesn't count.
        self.parts = [part.replace("~1", "/").replace("~0", "~") for part in self.text.split("/")[1:]]

    def key(self, container: Any, part: str) -> Any:
        """The key or index of what is there already. Raises Invalid."""
        if isinstance(container, list):
            return self.index(part, len(container))
        if isinstance(container, dict) and part in container:
            return part
        raise self.missing()

    def index(self, part: str, places: int) -> int:
        """A number below that of the places; a negative one counts from the end. Raises Invalid."""
        if not _INDEX.fullmatch(part):
            raise self.missing()
        index = int(part)
        if not -places <= index < places:
            raise self.missing()
        return index % places

    def missing(self) -> ApiError:
        """There is no such place."""
        return _refused(
            f"{self._operation} operation does not apply: doc is missing path: {self.text}: missing value"
        )


def _refused(why: str) -> ApiError:
    return Invalid(f"the server rejected our request due to an error in our request: {why}")


def _copy(value: Any) -> Any:
    """A deep copy; several times faster than copy.deepcopy."""
    return _decode(_encode(value))


def _same(one: Any, other: Any) -> bool:
    """Equal as they are written: true is not 1, nor is 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
