"""JSON patch, RFC 6902, with JSON pointers, RFC 6901."""

from __future__ import annotations

from typing import Any

from wellhead.api.errors import BadRequest, Invalid, RequestEntityTooLarge
from wellhead.api.meta import Obj

_MAX_OPERATIONS = 10_000  # as upstream
_OPERATIONS = {
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}


class _DoesNotApply(Exception):
    """An operation whose path isn't there."""


def apply_json_patch(obj: Obj, patch: object) -> Obj:
    """`obj` after all operations, in order.

    Raises BadRequest for a patch that isn't one, Invalid (422) if it doesn't apply: a path that isn't there,
    a failed `test`.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise BadRequest("error decoding patch: a JSON patch is a list of operations")
    if len(patch) > _MAX_OPERATIONS:
        raise RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}"
        )
    document: Any = obj
    for operation in patch:
        name = operation.get("op")
        if name not in _OPERATIONS:
            raise BadRequest(f'error decoding patch: Unexpected kind: "{name}"')
        missing = [field for field in ("path", *_OPERATIONS[name]) if field not in operation]
        if missing:
            raise BadRequest(f"error decoding patch: {name} operation without {missing[0]}")
        try:
            document = _apply(document, name, operation)
        except _DoesNotApply as why:
            raise Invalid(f"the server rejected our request due to an error in our request: {why}") from None
    if not isinstance(document, dict):
        raise Invalid(
            "the server rejected our request due to an error in our request: not an object any more"
        )
    return document


def _apply(document: Any, name: str, operation: Obj) -> Any:
    path = _pointer(operation["path"])
    match name:
        case "add":
            return _add(document, path, operation["value"], operation["path"])
        case "remove":
            return _remove(document, path, operation["path"])
        case "replace":
            _get(document, path, name, operation["path"])
            if not path:
                return operation["value"]
            parent, key = _copied_parent(document, path, name, operation["path"])
            parent.container[key] = operation["value"]
            return parent.document
        case "test":
            if not _same(_get(document, path, name, operation["path"]), operation["value"]):
                raise _DoesNotApply(f"testing value {operation['path']} failed: test failed")
            return document
    source = _pointer(operation["from"])
    value = _get(document, source, name, operation["from"])
    if name == "move":
        if path[: len(source)] == source and path != source:
            raise _DoesNotApply(f"move operation does not apply: {operation['path']} is inside what moves")
        document = _remove(document, source, operation["from"])
    return _add(document, path, value, operation["path"])


class _Parent:
    """The container that a pointer's last part is in: copied, as is everything above it."""

    def __init__(self, document: Any, container: Any) -> None:
        self.document = document
        self.container = container


def _add(document: Any, path: list[str], value: Any, text: str) -> Any:
    if not path:
        return value
    parent, key = _copied_parent(document, path, "add", text, adding=True)
    if isinstance(parent.container, list):
        parent.container.insert(int(key), value)
    else:
        parent.container[key] = value
    return parent.document


def _remove(document: Any, path: list[str], text: str) -> Any:
    _get(document, path, "remove", text)
    if not path:
        return None
    parent, key = _copied_parent(document, path, "remove", text)
    del parent.container[key]
    return parent.document


def _copied_parent(
    document: Any, path: list[str], name: str, text: str, adding: bool = False
) -> tuple[_Parent, Any]:
    root = container = _copy(document, name, text)
    for part in path[:-1]:
        key = _key(container, part, name, text)
        container[key] = container = _copy(container[key], name, text)
    last = path[-1]
    if adding and isinstance(container, list):
        index = len(container) if last == "-" else _index(last, name, text)
        if index > len(container):
            raise _missing(name, text)
        return _Parent(root, container), index
    return _Parent(root, container), last if adding else _key(container, last, name, text)


def _get(document: Any, path: list[str], name: str, text: str) -> Any:
    for part in path:
        document = document[_key(document, part, name, text)]
    return document


def _key(container: Any, part: str, name: str, text: str) -> Any:
    if isinstance(container, list):
        index = _index(part, name, text)
        if index < len(container):
            return index
    elif isinstance(container, dict) and part in container:
        return part
    raise _missing(name, text)


def _index(part: str, name: str, text: str) -> int:
    if not part.isdecimal() or (len(part) > 1 and part[0] == "0"):
        raise _missing(name, text)
    return int(part)


def _missing(name: str, text: str) -> _DoesNotApply:
    return _DoesNotApply(f"{name} operation does not apply: doc is missing path: {text}: missing value")


def _copy(container: Any, name: str, text: str) -> Any:
    if not isinstance(container, dict | list):
        raise _missing(name, text)
    return container.copy()


def _pointer(text: object) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise BadRequest(f"error decoding patch: {text!r} is not a JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
