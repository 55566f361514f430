"""Strategic merge patch: a merge patch in which lists merge by key, as the types of the API say.

The rules are apimachinery's `util/strategicpatch`: directives `$patch` (replace, delete, merge),
`$retainKeys`, `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from wellhead.api.definitions import Definitions, Field, definitions
from wellhead.api.errors import BadRequest, PlainError
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.patch.refusal import as_go_prints
from wellhead.api.schema import json_kind
from wellhead.text import go_type

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_EXACT = 2**53


def apply_strategic_merge_patch(obj: Obj, patch: object, gvk: GroupVersionKind) -> Obj:
    """`obj` with the patch merged as the schema of `gvk` says; null is a patch that changes nothing.

    Raises BadRequest and PlainError for a malformed patch: which, upstream's library decides.
    """
    if patch is None:
        return obj
    if not isinstance(patch, dict):
        raise BadRequest(
            f"json: cannot unmarshal {json_kind(patch)} into Go value of type map[string]interface {{}}"
        )
    known = definitions(gvk)
    merged = _Merger(known).map(obj, _whole_numbers(patch), known.root)
    # Upstream patches a Go value, whose type says what it is: another kind in the patch means nothing.
    return merged | {field: obj[field] for field in ("apiVersion", "kind") if field in obj}


class _Merger:
    def __init__(self, known: Definitions) -> None:
        self._known = known

    def map(self, original: Obj, patch: Obj, definition: str) -> Obj:
        if _PATCH in patch:
            match patch[_PATCH]:
                case "replace":
                    return {name: value for name, value in patch.items() if name != _PATCH}
                case "delete":
                    return {}
            raise _unknown_type(patch)
        merged = dict(original)
        if _RETAIN in patch:
            retained = _retained(patch)
            patch = {name: value for name, value in patch.items() if name != _RETAIN}
            merged = {name: value for name, value in merged.items() if name in retained}
        orders = {name.removeprefix(_ORDER): patch[name] for name in patch if name.startswith(_ORDER)}
        for field, order in orders.items():
            known = self._known.field(definition, field)
            _check_order(patch.get(field), order, known.merge_key if known is not None else "")
        for name, value in patch.items():
            if name.startswith(_DELETE_FROM):
                field = name.removeprefix(_DELETE_FROM)
                present = merged.get(field)
                if isinstance(present, list) and isinstance(value, list):
                    gone = {_name(each) for each in value}
                    merged[field] = [each for each in present if _name(each) not in gone]
            elif name.startswith(_ORDER):
                continue
            elif value is None:
                merged.pop(name, None)
            else:
                self._put(merged, name, value, self._known.field(definition, name))
        for field, order in orders.items():
            if isinstance(merged.get(field), list):
                known = self._known.field(definition, field)
                merged[field] = _ordered(
                    merged[field],
                    order,
                    original[field] if isinstance(original.get(field), list) else [],
                    known.merge_key if known is not None else "",
                )
        return merged

    def _put(self, merged: Obj, name: str, value: Any, field: Field | None) -> None:
        """Merge the value into the field, or put it there as it is if nothing of its kind is."""
        original = merged.get(name)
        strategies = field.patch_strategies if field is not None else frozenset[str]()
        if isinstance(value, dict) and isinstance(original, dict):
            definition = field.type if field is not None and field.shape != "map" else ""
            merged[name] = value if "replace" in strategies else self.map(original, value, definition)
        elif isinstance(value, list) and isinstance(original, list):
            mergeable = "merge" in strategies and field is not None
            merged[name] = self._list(original, value, field) if mergeable and field else value
        elif _is_directive(value):
            merged.pop(name, None)
        else:
            merged[name] = _without_directives(value)

    def _list(self, original: list[Any], patch: list[Any], field: Field) -> list[Any]:
        if len({type(each) for each in (*original, *patch)}) > 1:
            both = " ".join(as_go_prints(each) for each in (original, patch) if each)
            raise PlainError(f"list element types are not identical: [{both}]")
        if not field.merge_key or not all(isinstance(each, dict) for each in patch):
            values = {_name(value): value for value in reversed([*original, *patch])}
            return _ordered(list(reversed(values.values())), patch, original, "")
        key = field.merge_key
        replaced = False
        additions: list[Obj] = []
        gone: set[str] = set()
        for item in patch:
            if _PATCH not in item:
                additions.append(item)
                continue
            match item[_PATCH]:
                case "replace":
                    replaced = True
                case "delete":
                    gone.add(_identity(item, key))
                case "merge":
                    raise PlainError("merging lists cannot yet be specified in the patch")
                case _:
                    raise _unknown_type(item)
        if replaced:
            return additions
        merged = [entry for entry in original if _name(entry.get(key)) not in gone]
        places = {_name(entry.get(key)): place for place, entry in reversed(list(enumerate(merged)))}
        for item in additions:
            wanted = _identity(item, key)
            at = places.get(wanted)
            if at is None:
                places[wanted] = len(merged)
                merged.append(item)
            else:
                merged[at] = self.map(merged[at], item, field.type)
        return _ordered(merged, additions, original, key)


def _unknown_type(patch: Obj) -> PlainError:
    return PlainError(f"unknown patch type: {as_go_prints(patch[_PATCH])} in map: {as_go_prints(patch)}")


def _retained(patch: Obj) -> set[str]:
    """The fields that stay; all that the patch sets are among them. Raises BadRequest."""
    listed = patch[_RETAIN]
    retained = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set[str]()
    unlisted = any(
        name not in retained
        for name, value in patch.items()
        if value is not None and name != _RETAIN and not name.startswith((_DELETE_FROM, _ORDER))
    )
    if not isinstance(listed, list) or unlisted:
        raise BadRequest("invalid patch format of retainKeys")
    return retained


def _check_order(patch: object, order: object, key: str) -> None:
    """Raises PlainError unless what the patch has of a list is in the order that it names, in that order."""
    if not isinstance(order, list):
        raise PlainError(f"expected a []interface {{}}, but received a {go_type(order)}")
    if not isinstance(patch, list):
        return

    def name(item: Any) -> str:
        return _name(item.get(key)) if key and isinstance(item, dict) else _name(item)

    places = iter(order)
    named = [item for item in patch if not _is_directive(item)]
    if order and not all(any(name(place) == name(item) for place in places) for item in named):
        raise PlainError(
            f"The order in patch list:\n{as_go_prints(patch)}\n doesn't match $setElementOrder list:"
            f"\n{as_go_prints(order)}\n"
        )


def _whole_numbers(value: Any) -> Any:
    """1.0 as 1: a Go value that is patched so takes either for an integer."""
    match value:
        case dict():
            return {name: _whole_numbers(each) for name, each in value.items()}
        case list():
            return [_whole_numbers(each) for each in value]
        case float():
            return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return value


def _identity(item: Obj, key: str) -> str:
    if key not in item:
        raise PlainError(f"map: {as_go_prints(item)} does not contain declared merge key: {key}")
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
    """What comes where nothing is: nulls, and what is a directive, don't."""
    if isinstance(value, dict):
        return {
            name: _without_directives(item)
            for name, item in value.items()
            if item is not None and not _is_directive(item)
        }
    if isinstance(value, list):
        return [_without_directives(item) for item in value if not _is_directive(item)]
    return value


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and _PATCH in value
