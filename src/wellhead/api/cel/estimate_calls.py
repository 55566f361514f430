"""What a call costs at most, and how large its value may be, from how large its arguments may be.

Upstream: cel-go's checker/cost.go, its ext/lists.go and ext/sets.go, and apiserver's cel/library/cost.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellhead.api.cel.ast import Call, TypeNode
from wellhead.api.cel.places import Entries, Place, element
from wellhead.api.cel.sizes import MOST, ONE, UNKNOWN, Size, product, share

_TRAVERSAL, _REGEX = 0.1, 0.25
_AUTHORIZATION = 350_000
_LIST = 10
_REQUIREMENT = 50
_LONGEST_NAME_FORMAT = 128
_LONGEST_FORMAT = 64
_DYN = TypeNode("dyn")
_TEXTS = ("string", "bytes")


@dataclass(frozen=True)
class Part:
    """A part of an expression: the most it costs, its type, its size, and where its value stands."""

    cost: int
    type: TypeNode = _DYN
    size: Size | None = None
    place: Place | None = None
    """None: it was made, and stands nowhere."""
    entries: Entries | None = None
    literal: Any = None

    @property
    def known(self) -> Size:
        return UNKNOWN if self.size is None else self.size


_Estimator = Callable[[list[Part]], Part]
_NOMINAL = Part(1)


def call_cost(node: Call, parts: list[Part]) -> Part:
    """The call's own cost, without its arguments'."""
    if node.function in ("_==_", "_!=_"):
        return _equality(node.function, parts)
    special = _FUNCTIONS.get(node.function)
    if special is not None and len(parts) >= special[0]:
        return special[1](parts)
    found = [_OVERLOADS[each](parts) for each in node.overloads if each in _OVERLOADS]
    if not found:
        return _NOMINAL
    if len(found) < len(node.overloads):
        found.append(_NOMINAL)
    sizes = [each.size for each in found if each.size is not None]
    size = None
    for each in sizes:
        size = each if size is None else size | each
    return Part(max(each.cost for each in found), size=size)


def _equality(function: str, parts: list[Part]) -> Part:
    left, right = parts
    if function == "_==_" and left.type == right.type:
        if left.type.name in _SIMPLE:
            return _NOMINAL
        if left.type.name == "kubernetes.NamedFormat":
            return Part(share(_LONGEST_FORMAT, _TRAVERSAL))
        if left.type.name == "kubernetes.URL":
            return Part(right.size.share(_TRAVERSAL) if right.size is not None else 1)
    return Part(share(min(left.known.most, right.known.most), _TRAVERSAL))


_CHECKS = ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
_SIMPLE = frozenset(
    (
        *("net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"),
        *(f"kubernetes.authorization.{name}" for name in _CHECKS),
    )
)


def _through(at: int, factor: float = _TRAVERSAL) -> _Estimator:
    """An argument is gone through once."""
    return lambda parts: Part(parts[at].known.share(factor))


def _as_long(parts: list[Part]) -> Part:
    return Part(parts[0].known.share(_TRAVERSAL), size=parts[0].known)


def _selector(parts: list[Part]) -> Part:
    length = parts[1].known
    return Part(_LIST + length.share(_TRAVERSAL) + share(length.share(0.5), _REQUIREMENT))


def _element(listed: Part) -> tuple[str, Size] | None:
    """The type and size of a list's elements; None if it is no list."""
    if not listed.type.parameters:
        return None
    place = None if listed.place is None else element(listed.place)
    size = place.size if place is not None else None
    return listed.type.parameters[0].name, UNKNOWN if size is None else size


def _compared(parts: list[Part]) -> Part:
    """Each element is looked at once."""
    found = _element(parts[0])
    if found is None:  # indexOf of a text
        return Part(parts[0].known.share(_TRAVERSAL))
    name, size = found
    each = 1 + (size.share(_TRAVERSAL) if name in _TEXTS else 0)
    return Part(product(parts[0].known.most, each))


def _replaced(parts: list[Part]) -> Part:
    text, old, new = (part.known for part in parts[:3])
    times, kept = [0, 0], [0, 0]
    if old.least == 0:  # new text goes around every character
        times[1], kept[1] = min(text.most + 1, MOST), text.most
    elif new.most <= old.least:
        kept[1] = text.most
    else:
        times[1] = math.ceil(text.most / old.least)
    if old.most == 0:
        times[0], kept[0] = min(text.least + 1, MOST), text.least
    elif old.most <= new.least:
        kept[0] = text.least
    else:
        times[0] = math.ceil(text.least / old.most)
    return Part(text.share(2 * _TRAVERSAL), size=Size(*times) * new + Size(*kept))


def _split(parts: list[Part]) -> Part:
    most = parts[0].known.most
    if len(parts) > 2 and _is_int(parts[2].literal):
        most = parts[2].literal % (MOST + 1)
    return Part(parts[0].known.share(2 * _TRAVERSAL), size=Size(0, most))


def _joined(parts: list[Part]) -> Part:
    listed = parts[0].known
    found = _element(parts[0])
    size = Size.exactly(0) if found is None else listed * found[1]
    if len(parts) > 1:
        size += parts[1].known * Size(max(listed.least - 1, 0), max(listed.most - 1, 0))
    return Part(size.share(_TRAVERSAL), size=size)


def _matched(parts: list[Part]) -> Part:
    text = (parts[0].known + ONE).share(_TRAVERSAL)
    return Part(product(text, parts[1].known.share(_REGEX)))


def _found(parts: list[Part]) -> Part:
    return Part(_matched(parts).cost, size=Size(0, parts[0].known.most))


def _address(parts: list[Part]) -> Part:
    """`ip()`: of a CIDR it is there already."""
    return _NOMINAL if parts[0].type.name == "net.CIDR" else Part(parts[0].known.share(_TRAVERSAL))


_ADDRESS = 16  # bytes


def _contains_address(parts: list[Part]) -> Part:
    return Part(share(2 * _ADDRESS, _TRAVERSAL) + _parsed(parts[1]))


def _contains_network(parts: list[Part]) -> Part:
    return Part(share(2 * _ADDRESS, _TRAVERSAL) + share(_ADDRESS, _TRAVERSAL) + 1 + _parsed(parts[1]))


def _parsed(part: Part) -> int:
    return part.known.share(_TRAVERSAL) if part.type.name in ("string", "dyn") else 0


def _validated(parts: list[Part]) -> Part:
    return Part(share(parts[1].known.share(_TRAVERSAL), _LONGEST_NAME_FORMAT * _REGEX))


def _sets(factor: float) -> _Estimator:
    return lambda parts: Part((parts[0].known * parts[1].known).share(factor) + 1)


def _made_list(size: Size, factor: float = 1) -> Part:
    return Part(size.share(factor) + 1 + _LIST, size=size)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _given(parts: list[Part], at: int, otherwise: int) -> int:
    """A number that stands in the expression."""
    if at < len(parts) and _is_int(parts[at].literal):
        return max(int(parts[at].literal), 0)
    return otherwise


def _sliced(parts: list[Part]) -> Part:
    start, end = _given(parts, 1, 0), _given(parts, 2, parts[0].known.most)
    return _made_list(Size.exactly((end - start) % (MOST + 1)))


def _flattened(parts: list[Part]) -> Part:
    depth = _given(parts, 1, MOST) if len(parts) > 1 else 1
    return _made_list(parts[0].known, depth)


def _sorted(by: int) -> _Estimator:
    """Each element is compared with each other; `by` is the list of what they are sorted by."""

    def charged(parts: list[Part]) -> Part:
        keys = parts[by]
        named = keys.type.parameters[0].name if keys.type.parameters else "dyn"
        factor = 2 + (_TRAVERSAL if named in _TEXTS else 0)
        return _made_list(keys.known * keys.known, factor)

    return charged


def _distinct(parts: list[Part]) -> Part:
    return _made_list(parts[0].known * parts[0].known, 2)


_Table = dict[str, tuple[int, _Estimator]]


def _of(least: int, estimator: _Estimator, *names: str) -> _Table:
    """Functions that are charged so if they have that many arguments, the receiver among them."""
    return dict.fromkeys(names, (least, estimator))


_FUNCTIONS: _Table = {
    **_of(1, lambda _parts: Part(_AUTHORIZATION), "check"),
    **_of(2, _selector, "fieldSelector", "labelSelector"),
    **_of(1, _compared, "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"),
    **_of(1, _as_long, "url", "jsonpatch.escapeKey", "lowerAscii", "upperAscii", "substring", "trim"),
    **_of(3, _replaced, "replace"),
    **_of(1, _split, "split"),
    **_of(1, _joined, "join"),
    **_of(2, _found, "find", "findAll"),
    **_of(1, _through(0), "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"),
    **_of(1, _address, "ip"),
    **_of(1, _through(0, 2 * _TRAVERSAL), "ip.isCanonical"),
    **_of(2, _contains_address, "containsIP"),
    **_of(2, _contains_network, "containsCIDR"),
    **_of(2, _validated, "validate"),
    **_of(2, _sets(1), "sets.contains", "sets.intersects"),
    **_of(2, _sets(2), "sets.equivalent"),
    **_of(3, _sliced, "slice"),
    **_of(1, lambda parts: _made_list(Size.exactly(_given(parts, 0, MOST))), "lists.range"),
    **_of(1, lambda parts: _made_list(parts[0].known), "reverse"),
    **_of(1, _flattened, "flatten"),
    **_of(1, _distinct, "distinct"),
    **_of(1, _sorted(0), "sort"),
    **_of(2, _sorted(1), "@sortByAssociatedKeys"),
    **_of(1, _through(0), "format"),
    **_of(
        1,
        lambda parts: Part(
            parts[0].known.share(_TRAVERSAL),
            size=Size(min(parts[0].known.least + 2, MOST), min(2 * parts[0].known.most + 2, MOST)),
        ),
        "strings.quote",
    ),
}


def _to_bytes(parts: list[Part]) -> Part:
    size = parts[0].known
    return Part(size.share(_TRAVERSAL), size=Size(size.least, min(4 * size.most, MOST)))


def _to_text(parts: list[Part]) -> Part:
    size = parts[0].known
    return Part(size.share(_TRAVERSAL), size=Size(size.least // 4, size.most))


def _ordered(parts: list[Part]) -> Part:
    return Part(share(min(parts[0].known.most, parts[1].known.most), _TRAVERSAL))


def _added(parts: list[Part]) -> Part:
    size = parts[0].known + parts[1].known
    return Part(size.share(_TRAVERSAL), size=size)


def _contained(parts: list[Part]) -> Part:
    return Part(product(parts[0].known.share(_TRAVERSAL), parts[1].known.share(_TRAVERSAL)))


_ORDERS = ("less", "less_equals", "greater", "greater_equals")
_OVERLOADS: dict[str, _Estimator] = {
    "string_to_bytes": _to_bytes,
    "bytes_to_string": _to_text,
    "starts_with_string": _through(1),
    "ends_with_string": _through(1),
    "in_list": lambda parts: Part(parts[1].known.most),
    "matches_string": _matched,
    "contains_string": _contained,
    "add_string": _added,
    "add_bytes": _added,
    "add_list": lambda parts: Part(1, size=parts[0].known + parts[1].known),
    **{f"{order}_{text}": _ordered for order in _ORDERS for text in _TEXTS},
}
"""By cel-go's names of them: a call whose arguments' types aren't known may be several."""
