"""Places in a definition's schema, and what holds in each because of what is around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wellhead.api.custom.schemas import META_FIELDS, is_embedded, items, properties, values
from wellhead.api.meta import Obj


@dataclass(frozen=True)
class Place:
    """Where in a schema, and what holds there."""

    at: str
    root: bool = False
    in_meta: bool = False
    no_defaults: str = ""
    """Why there may be none."""
    uncorrelated: str = ""
    """The path from which on an old value can't be told to be this one's."""
    times: int | None = 1
    """How often a value of it may be in an object; None: nothing bounds it."""


def _times(outside: int | None, most: int | None) -> int | None:
    return None if outside is None or most is None else outside * max(most, 0)


def below(schema: Obj, place: Place) -> Iterator[tuple[Obj, Place]]:
    """The schemas directly below, and their places."""
    if (of := values(schema)) is not None:
        most = schema.get("maxProperties")
        why = (
            "inside additionalProperties applying to object metadata" if place.in_meta else place.no_defaults
        )
        yield (
            of,
            replace(
                place,
                at=f"{place.at}.additionalProperties",
                root=False,
                times=_times(place.times, most),
                no_defaults=why,
            ),
        )
    for name, each in properties(schema).items():
        at = f"{place.at}.properties[{name}]"
        inside = replace(place, at=at, root=False)
        if (place.root or is_embedded(schema)) and name in META_FIELDS:
            inside = replace(inside, in_meta=True)
            if place.root:
                inside = replace(inside, no_defaults=f"in top-level {name}")
        yield each, inside
    if (of := items(schema)) is not None:
        most = schema.get("maxItems")
        inside = replace(place, at=f"{place.at}.items", root=False, times=_times(place.times, most))
        if schema.get("x-kubernetes-list-type") != "map" and not place.uncorrelated:
            inside = replace(inside, uncorrelated=place.at)
        yield of, inside
