"""Where in the variables a value stands, and how large the values there may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wellhead.api.cel.sizes import MOST, Size
from wellhead.api.cel.types import ListOf, MapOf, ObjectOf, Scalar, Type


@dataclass(frozen=True)
class Place:
    """None: below what the variables' types say."""

    type: Type | None

    @property
    def size(self) -> Size | None:
        """Whose length isn't said to be anything has the length 0 here, as upstream."""
        match self.type:
            case None:
                return None
            case Scalar(name, most) if name not in ("string", "bytes", "dyn") and math.isinf(most):
                return Size(0, 0)
            case ListOf(_, most) | MapOf(_, most) | Scalar(_, most):
                return Size(0, MOST if math.isinf(most) else int(most))
        return Size(0, 0)

    @property
    def has_parts(self) -> bool:
        return isinstance(self.type, MapOf | ObjectOf)


@dataclass(frozen=True)
class Entries:
    """How large the elements are of a list or map that the expression itself made."""

    of: str
    key: Size
    value: Size


def element(place: Place) -> Place:
    match place.type:
        case ListOf(of) | MapOf(of):
            return Place(of)
    return Place(None)


def key(place: Place) -> Place:
    if isinstance(place.type, MapOf):
        return Place(Scalar("string", place.type.most_key))
    return Place(None)


def field_of(place: Place, name: str) -> Place:
    if isinstance(place.type, ObjectOf):
        return Place(place.type.fields.get(name))
    return Place(None)
