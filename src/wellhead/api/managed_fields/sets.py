"""Sets of fields, as trees of the form of fieldsV1.

A tree maps path elements to what is below them. A node that is empty, or has a member ".", stands for itself;
one that has neither only leads to others. The root stands for nothing, so an empty root is the empty set.
Trees share their parts and are never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from wellhead.api.managed_fields.elements import normal

Tree: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

LEAF: Tree = {}
SELF = "."


def tree(paths: Iterable[Path]) -> Tree:
    """The set of these paths."""
    root: Tree = {}
    for path in paths:
        below: Tree = LEAF
        for element in reversed(path):
            below = {element: below}
        root = union(root, below)
    return root


def paths(root: Tree) -> Iterator[Path]:
    """The members: at each level all of them first, then what is below each (Set.Iterate)."""
    todo: list[tuple[Path, Tree]] = [((), root)]
    while todo:
        path, node = todo.pop()
        below = [((*path, element), each) for element, each in node.items() if element != SELF]
        yield from (each for each, found in below if is_member(found))
        todo += reversed(below)


def is_member(node: Tree) -> bool:
    """Whether a node stands for itself."""
    return not node or SELF in node


def has(root: Tree, path: Path) -> bool:
    """Whether the path is in the set."""
    node = root
    for element in path:
        if element not in node:
            return False
        node = node[element]
    return bool(path) and is_member(node)


def member(below: Tree) -> Tree:
    """A node that stands for itself and has `below` below it."""
    return below if is_member(below) else {SELF: LEAF, **below}


def union(one: Tree, other: Tree) -> Tree:
    """What is in one of them."""
    if not one or not other:
        return one or other
    result = dict(one)
    for element, node in other.items():
        known = result.get(element)
        if known is None:
            result[element] = node
        elif known is not node and known != node:
            if not known:
                result[element] = member(node)
            elif not node:
                result[element] = member(known)
            else:
                result[element] = union(known, node)
    return result


def difference(one: Tree, other: Tree) -> Tree:
    """What is in `one` and not in `other`, each member by itself."""
    if not one or not other:
        return one
    result: Tree = {}
    for element, node in one.items():
        against = other.get(element)
        if against is None:
            result[element] = node
        elif (left := _difference(node, against)) is not None:
            result[element] = left
    return result


def _difference(node: Tree, against: Tree) -> Tree | None:
    stays = is_member(node) and not is_member(against)
    below = difference({element: each for element, each in node.items() if element != SELF}, against)
    if below:
        return member(below) if stays else below
    return LEAF if stays else None


def without(one: Tree, other: Tree) -> Tree:
    """What is in `one`, but neither in `other` nor below a member of it."""
    result: Tree = {}
    for element, node in one.items():
        against = other.get(element)
        if against is None:
            result[element] = node
        elif not is_member(against):
            below = without({each: value for each, value in node.items() if each != SELF}, against)
            if below:
                result[element] = member(below) if is_member(node) else below
            elif is_member(node):
                result[element] = LEAF
    return result


def intersection(one: Tree, other: Tree) -> Tree:
    """What is in both."""
    result: Tree = {}
    for element, node in one.items():
        against = other.get(element)
        if against is None or element == SELF:
            continue
        both = is_member(node) and is_member(against)
        below = intersection(node, against)
        if below:
            result[element] = member(below) if both else below
        elif both:
            result[element] = LEAF
    return result


def read(fields: object) -> Tree:
    """The tree of a fieldsV1 that somebody sent. Raises ValueError."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 must be an object")
    return {normal(element): _read(node) for element, node in fields.items() if element != SELF}


def _read(node: object) -> Tree:
    if not isinstance(node, dict):
        raise ValueError("a field of fieldsV1 must be an object")
    result = {
        (SELF if element == SELF else normal(element)): LEAF if element == SELF else _read(below)
        for element, below in node.items()
    }
    return LEAF if result.keys() == {SELF} else result


def ordered(root: Tree) -> Tree:
    """The same set, written in the order of its elements."""
    return {element: ordered(root[element]) for element in sorted(root)} if root else root
