"""What differs between two states of an object (structured-merge-diff's TypedValue.Compare)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wellhead.api.managed_fields.elements import NoElement, item_element
from wellhead.api.managed_fields.sets import LEAF, SELF, Tree, member
from wellhead.api.managed_fields.types import ListType, MapType, Type
from wellhead.api.meta import Obj

_NOTHING: Obj = {}
_CONTAINERS = (dict, list)


class Comparison(NamedTuple):
    """The fields that the new state adds or changes, and those that it hasn't any more."""

    changed: Tree
    removed: Tree


def compare(type: Type, old: Obj, new: Obj) -> Comparison:
    """Two states of an object of this type; an empty one is no object yet."""
    if type.map is None or old == new:
        return Comparison({}, {})
    if not old:
        return Comparison(_fresh(type.map, new), {})
    return _maps(type.map, old, new)


def whole(type: Type, value: Any) -> Tree:
    """The node of a value that is on one side only: it, and all below it."""
    if isinstance(value, dict):
        if (known := type.map) is None or known.atomic:
            return LEAF
        below: Tree = {SELF: LEAF}
        for name, each in value.items():
            field = known.fields.get(name) or known.element
            if field is not None:
                below["f:" + name] = whole(field.type, each) if isinstance(each, _CONTAINERS) else LEAF
        for field in known.always:
            if field.name not in value:
                below["f:" + field.name] = whole(field.type, _NOTHING)
        return below if len(below) > 1 else LEAF
    if isinstance(value, list) and type.list is not None and not type.list.atomic:
        below = {SELF: LEAF}
        for element, items in _indexed(type.list, value).items():
            below[element] = LEAF if len(items) > 1 else whole(type.list.element, items[0])
        return below if len(below) > 1 else LEAF
    return LEAF


def _fresh(known: MapType, value: Mapping[str, Any]) -> Tree:
    """What a struct has that was there already, with nothing in it."""
    below: Tree = {}
    for name, each in value.items():
        field = known.fields.get(name) or known.element
        if field is None:
            continue
        if field.always:
            if not each:
                continue
            inner = field.type.map
            if inner is None or inner.atomic or not isinstance(each, dict):
                below["f:" + name] = LEAF
            elif node := _fresh(inner, each):
                below["f:" + name] = node
        elif not field.kept:
            below["f:" + name] = whole(field.type, each) if isinstance(each, _CONTAINERS) else LEAF
        elif each:
            below["f:" + name] = _without_self(whole(field.type, each))
    return below


def _without_self(node: Tree) -> Tree:
    """The node of what was there before, if as nothing: null, or zero."""
    return {element: below for element, below in node.items() if element != SELF}


def _values(type: Type, old: Any, new: Any) -> Comparison | None:
    """Of two values that differ; None if the whole value is what changed."""
    if isinstance(old, dict) and isinstance(new, dict):
        if type.map is None or type.map.atomic:
            return None
        return _maps(type.map, old, new)
    if isinstance(old, list) and isinstance(new, list):
        if type.list is None or type.list.atomic:
            return None
        return _lists(type.list, old, new)
    return None


def _maps(known: MapType, old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    changed: Tree = {}
    removed: Tree = {}
    for name, value in new.items():
        field = known.fields.get(name) or known.element
        if field is None:
            continue
        before = old.get(name, _MISSING)
        if before is _MISSING:
            if field.always:
                before = _NOTHING
            elif not field.kept:
                changed["f:" + name] = whole(field.type, value)
                continue
            else:
                if value:
                    changed["f:" + name] = _without_self(whole(field.type, value))
                continue
        if before != value:
            _enter("f:" + name, field.type, before, value, changed, removed)
    for name, value in old.items():
        if name in new:
            continue
        field = known.fields.get(name) or known.element
        if field is None:
            continue
        if field.always:
            if value:
                _enter("f:" + name, field.type, value, _NOTHING, changed, removed)
        elif not field.kept:
            removed["f:" + name] = whole(field.type, value)
        elif value:
            node = _without_self(whole(field.type, value))
            # A scalar, or what is replaced as a whole, is null or zero now: that is a value, too.
            (removed if node else changed)["f:" + name] = node
    return Comparison(changed, removed)


def _enter(element: str, type: Type, old: Any, new: Any, changed: Tree, removed: Tree) -> None:
    below = _values(type, old, new)
    if below is None:
        _replace(element, type, old, new, changed, removed)
        return
    if below.changed:
        changed[element] = below.changed
    if below.removed:
        removed[element] = below.removed


def _replace(element: str, type: Type, old: Any, new: Any, changed: Tree, removed: Tree) -> None:
    """A value by one of another sort: what either has below itself comes, or goes. Null is no value."""
    came, went = _parts(type, new), _parts(type, old)
    if went:
        removed[element] = went
    if (old is None and came) or (new is None and went):
        if came:
            changed[element] = came
    else:
        changed[element] = member(came)


def _parts(type: Type, value: Any) -> Tree:
    return _without_self(whole(type, value)) if isinstance(value, _CONTAINERS) else {}


def _lists(known: ListType, old: list[Any], new: list[Any]) -> Comparison:
    before, after = _indexed(known, old), _indexed(known, new)
    changed: Tree = {}
    removed: Tree = {}
    for element, items in after.items():
        others = before.get(element)
        if others == items:
            continue
        if others is None:
            changed[element] = LEAF if len(items) > 1 else whole(known.element, items[0])
        elif len(others) > 1 and len(items) > 1:
            changed[element] = LEAF
        elif len(others) > 1:  # it was there several times, and isn't any more
            changed[element] = whole(known.element, items[0])
            removed[element] = LEAF
        elif len(items) > 1:
            changed[element] = LEAF
            removed[element] = whole(known.element, others[0])
        else:
            _enter(element, known.element, others[0], items[0], changed, removed)
    for element, items in before.items():
        if element not in after:
            removed[element] = LEAF if len(items) > 1 else whole(known.element, items[0])
    return Comparison(changed, removed)


def _indexed(known: ListType, items: list[Any]) -> dict[str, list[Any]]:
    """The items by what they are called; one without a name of its own isn't tracked."""
    found: dict[str, list[Any]] = {}
    for item in items:
        try:
            element = item_element(known, item)
        except NoElement:
            continue
        found.setdefault(element, []).append(item)
    return found


def field_set(type: Type, value: Any) -> Tree:
    """The fields that an applied configuration names (TypedValue.ToFieldSet)."""
    if isinstance(value, dict) and type.map is not None and not type.map.atomic:
        return _map_fields(type.map, value)
    if isinstance(value, list) and type.list is not None and not type.list.atomic:
        found: Tree = {}
        for element, items in _indexed(type.list, value).items():
            found[element] = LEAF if len(items) > 1 else member(_below(type.list.element, items[0]))
        return found
    return LEAF


def _map_fields(known: MapType, value: Obj) -> Tree:
    found: Tree = {}
    for name, each in value.items():
        field = known.fields.get(name) or known.element
        if field is None:
            continue
        below = _below(field.type, each)
        if _is_leaf(field.type, each) or each is None or each == {}:
            found["f:" + name] = LEAF
        elif name not in known.fields:
            found["f:" + name] = member(below) if below else LEAF
        elif below:
            found["f:" + name] = below
    return found


def _is_leaf(type: Type, value: Any) -> bool:
    if isinstance(value, dict):
        return type.map is None or type.map.atomic
    if isinstance(value, list):
        return type.list is None or type.list.atomic
    return True


def _below(type: Type, value: Any) -> Tree:
    return {} if _is_leaf(type, value) else field_set(type, value)


class _Missing:
    pass


_MISSING: Any = _Missing()
