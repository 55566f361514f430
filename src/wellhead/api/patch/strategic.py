"""Strategic merge patch: a merge patch in which lists merge by key, as the types of the API say.

The rules are apimachinery's `util/strategicpatch`: directives `$patch` (replace, delete, merge),
`$retainKeys`, `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from wellhead.api.definitions import Definitions, Field, definitions
from wellhead.api.errors import BadRequest, shown
from wellhead.api.meta import GroupVersionKind, Obj

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply_strategic_merge_patch(obj: Obj, patch: object, gvk: GroupVersionKind) -> Obj:
    """`obj` with the patch merged as the schema of `gvk` says. Raises BadRequest for a malformed patch."""
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document: a strategic merge patch must be an object")
    known = definitions(gvk)
    merged = _Merger(known).map(obj, patch, known.root)
    # Upstream patches a Go value, whose type says what it is: another kind in the patch means nothing.
    return merged | {field: obj[field] for field in ("apiVersion", "kind") if field in obj}


class _Merger:
    def __init__(self, known: Definitions) -> None:
        self._known = known

    def map(self, original: Obj, patch: Obj, definition: str) -> Obj:
        match patch.get(_PATCH):
            case "replace":
                return {name: value for name, value in patch.items() if name != _PATCH}
            case "delete":
                return {}
            case None | "merge":
                pass
            case other:
                raise BadRequest(f"unknown patch type: {shown(other)}")
        merged = dict(original)
        if _RETAIN in patch:
            retained = {name for name in _list(patch, _RETAIN) if isinstance(name, str)}
            merged = {name: value for name, value in merged.items() if name in retained}
        fields = {name: value for name, value in patch.items() if not name.startswith("$")}
        for name in patch:
            if name.startswith(_DELETE_FROM):
                field = name.removeprefix(_DELETE_FROM)
                gone = {_name(value) for value in _list(patch, name)}
                present = merged.get(field)
                if isinstance(present, list):
                    merged[field] = [value for value in present if _name(value) not in gone]
        for name, value in fields.items():
            if value is None:
                merged.pop(name, None)
            else:
                known = self._known.field(definition, name)
                merged[name] = self._value(merged.get(name), value, known)
        for name in patch:
            if name.startswith(_ORDER):
                field = name.removeprefix(_ORDER)
                if isinstance(merged.get(field), list):
                    known = self._known.field(definition, field)
                    merged[field] = _ordered(
                        merged[field],
                        _list(patch, name),
                        original[field] if isinstance(original.get(field), list) else [],
                        known.merge_key if known is not None else "",
                    )
        return merged

    def _value(self, original: Any, value: Any, field: Field | None) -> Any:
        definition = field.type if field is not None else ""
        strategies = field.patch_strategies if field is not None else frozenset[str]()
        if isinstance(value, dict):
            if field is not None and field.shape == "map":
                definition = ""
            if "replace" in strategies:
                return _without_directives(value)
            return self.map(original if isinstance(original, dict) else {}, value, definition)
        if isinstance(value, list):
            if "merge" in strategies and field is not None:
                return self._list(original if isinstance(original, list) else [], value, field)
            return _without_directives(value)
        return value

    def _list(self, original: list[Any], patch: list[Any], field: Field) -> list[Any]:
        if not field.merge_key:
            values = {_name(value): value for value in reversed([*original, *patch])}
            return _ordered(list(reversed(values.values())), patch, original, "")
        key = field.merge_key
        replaced = False
        merged = [entry for entry in original if isinstance(entry, dict)]
        additions: list[Obj] = []
        gone: set[str] = set()
        for item in patch:
            if not isinstance(item, dict):
                raise BadRequest(f"invalid JSON document: a list merged by {key!r} holds something else")
            directive = item.get(_PATCH)
            if directive == "replace":
                replaced = True
                if len(item) > 1:
                    additions.append({name: value for name, value in item.items() if name != _PATCH})
            elif directive == "delete":
                gone.add(_identity(item, key))
            elif directive in (None, "merge"):
                additions.append(item)
            else:
                raise BadRequest(f"unknown patch type: {shown(directive)}")
        if replaced:
            return [_without_directives(item) for item in additions]
        merged = [entry for entry in merged if _name(entry.get(key)) not in gone]
        places = {_name(entry.get(key)): place for place, entry in reversed(list(enumerate(merged)))}
        for item in additions:
            wanted = _identity(item, key)
            at = places.get(wanted)
            if at is None:
                places[wanted] = len(merged)
                merged.append(self.map({}, item, field.type))
            else:
                merged[at] = self.map(merged[at], item, field.type)
        return _ordered(merged, additions, original, key)


def _identity(item: Obj, key: str) -> str:
    if key not in item:
        raise BadRequest(f"map: {shown(item)} does not contain declared merge key: {key}")
    return _name(item[key])


def _name(value: Any) -> str:
    """What tells a value of a merged list, or of its merge key, from others."""
    return value if isinstance(value, str) else repr(value)


def _ordered(merged: list[Any], order: list[Any], original: list[Any], key: str) -> list[Any]:
    """What the client ordered in its order; what only the server knows keeps its place among the rest.

    An item that is new therefore comes before those that only the server knows.
    """

    def name(item: Any) -> str:
        return _name(item.get(key)) if key and isinstance(item, dict) else _name(item)

    wanted = {name(item): place for place, item in reversed(list(enumerate(order)))}
    places = {name(item): place for place, item in reversed(list(enumerate(original)))}
    ours = sorted((item for item in merged if name(item) in wanted), key=lambda item: wanted[name(item)])
    servers = [item for item in merged if name(item) not in wanted]
    result = []
    left, right = deque(ours), deque(servers)
    while left and right:
        our_place, servers_place = places.get(name(left[0])), places.get(name(right[0]))
        servers_first = servers_place is not None and our_place is not None and servers_place < our_place
        result.append((right if servers_first else left).popleft())
    return [*result, *left, *right]


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_directives(item)
            for name, item in value.items()
            if not name.startswith("$") and item is not None
        }
    if isinstance(value, list):
        return [_without_directives(item) for item in value]
    return value


def _list(patch: Obj, name: str) -> list[Any]:
    value = patch[name]
    if not isinstance(value, list):
        raise BadRequest(f"invalid JSON document: {name} must be a list")
    return value
