"""A configuration merged into what is there (TypedValue.Merge), and fields taken out (RemoveItems)."""

from __future__ import annotations

from typing import Any

from wellhead.api.managed_fields.elements import NoElement, item_element
from wellhead.api.managed_fields.sets import SELF, Tree, is_member, member
from wellhead.api.managed_fields.types import ListType, MapType, Type

_NOTHING: dict[str, Any] = {}


def merge(type: Type, live: Any, wanted: Any) -> Any:
    """`live` with what is wanted: maps and list maps merge, all else is replaced."""
    if isinstance(wanted, dict) and type.map is not None and not type.map.atomic:
        if not isinstance(live, dict):
            live = _NOTHING
        merged = dict(live)
        for name, value in wanted.items():
            field = type.map.field(name)
            merged[name] = (
                value if field is None or name not in live else merge(field.type, live[name], value)
            )
        return merged
    if isinstance(wanted, list) and isinstance(live, list) and type.list is not None and not type.list.atomic:
        return _merged_list(type.list, live, wanted)
    return wanted


def _merged_list(known: ListType, live: list[Any], wanted: list[Any]) -> list[Any]:
    """What both have in the order that is wanted; what only one has keeps its place among them."""
    left = [(_element(known, item), item) for item in live]
    right = [(_element(known, item), item) for item in wanted]
    first: dict[str, Any] = {}
    several = set()
    for element, item in left:
        if element in first:
            several.add(element)
        first.setdefault(element, item)
    theirs = dict(right)
    shared = iter([element for element, _ in right if element in first])
    next_shared = next(shared, None)
    merged: list[Any] = []
    done = set()

    def take(element: str, item: Any) -> None:
        # Of what is there several times nothing is kept: there is no telling which one is meant.
        mine = None if element in several else first.get(element)
        merged.append(item if mine is None else merge(known.element, mine, item))
        done.add(element)

    at = to = 0
    while at < len(left) or to < len(right):
        if at < len(left) and to < len(right):
            element = left[at][0]
            if element == right[to][0]:
                take(*right[to])
                at, to, next_shared = at + 1, to + 1, next(shared, None)
                continue
            if element in theirs and next_shared is not None and next_shared != element:
                at += 1
                continue
        if at < len(left):
            element, item = left[at]
            if element not in theirs:
                merged.append(item)
                at += 1
                continue
            if element in done:
                at += 1
        if to < len(right):
            element, item = right[to]
            take(element, item)
            to += 1
            if next_shared == element:
                next_shared = next(shared, None)
    return merged


def _element(known: ListType, item: Any) -> str:
    try:
        return item_element(known, item)
    except NoElement:
        return f"?{id(item)}"  # equal to no other


def remove(type: Type, value: Any, gone: Tree) -> Any:
    """The value without the fields and items of `gone`; None if nothing is left of it."""
    if isinstance(value, dict) and type.map is not None:
        return _without_fields(type.map, value, gone)
    if isinstance(value, list) and type.list is not None:
        return _without_items(type.list, value, gone)
    return value


def _without_fields(known: MapType, value: dict[str, Any], gone: Tree) -> dict[str, Any] | None:
    if known.atomic or not value:
        return None
    left: dict[str, Any] = {}
    entered = False
    for name, each in value.items():
        node = gone.get("f:" + name)
        if node is not None:
            if is_member(node):
                continue
            entered = True
            field = known.field(name)
            if field is not None:
                each = _emptied(each, remove(field.type, each, node))
        left[name] = each
    return left if left or entered else None


def _without_items(known: ListType, value: list[Any], gone: Tree) -> list[Any] | None:
    if known.atomic or not value:
        return None
    left: list[Any] = []
    entered = False
    for item in value:
        node = gone.get(_element(known, item))
        if node is not None:
            if is_member(node):
                continue
            entered = True
            item = _emptied(item, remove(known.element, item, node))
        left.append(item)
    return left if left or entered else None


def _emptied(before: Any, after: Any) -> Any:
    """What held something stays, if empty: it was not itself taken out."""
    if after is None and isinstance(before, dict | list):
        return type(before)()
    return after


def with_structs(type: Type, fields: Tree) -> Tree:
    """The set with the struct fields that lead to its members (EnsureNamedFieldsAreMembers)."""
    result: Tree = {}
    for element, node in fields.items():
        below_type: Type | None = None
        named = False
        if element.startswith("f:") and type.map is not None:
            name = element[2:]
            named = name in type.map.fields
            field = type.map.field(name)
            below_type = None if field is None else field.type
        elif element.startswith("k:") and type.list is not None:
            below_type = type.list.element
        below = {each: value for each, value in node.items() if each != SELF}
        if below and below_type is not None:
            below = with_structs(below_type, below)
        result[element] = member(below) if named or is_member(node) else below
    return result


def collapsed(type: Type, fields: Tree) -> Tree:
    """The set with only the root of what is atomic now, if a schema that changed made it so."""
    result: Tree = {}
    for element, node in fields.items():
        if element == SELF or not node:
            result[element] = node
            continue
        below_type: Type | None = None
        if element.startswith("f:") and type.map is not None:
            field = type.map.field(element[2:])
            below_type = None if field is None else field.type
        elif element.startswith(("k:", "v:")) and type.list is not None:
            below_type = type.list.element
        if below_type is None:
            result[element] = node
        elif _is_atomic(below_type):
            result[element] = {}
        else:
            result[element] = collapsed(below_type, node)
    return result


def _is_atomic(type: Type) -> bool:
    if type.map is not None:
        # What takes any value was told apart by the values themselves.
        return type.map.atomic and not type.scalar
    return type.list is not None and type.list.atomic
