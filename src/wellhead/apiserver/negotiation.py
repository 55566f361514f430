"""In which form an answer is written: JSON or YAML, whole objects, a Table, or their metadata only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from wellhead.api.errors import NotAcceptable

Projection = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]
_PROJECTIONS: dict[str, Projection] = {
    "Table": "Table",
    "PartialObjectMetadata": "PartialObjectMetadata",
    "PartialObjectMetadataList": "PartialObjectMetadataList",
}
_META_GROUP = "meta.k8s.io"
_META_VERSIONS = ("v1", "v1beta1")
JSON = "application/json"
YAML = "application/yaml"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One alternative of an Accept header."""

    type: str
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str:
        return next((value for key, value in self.parameters if key == name), "")


@dataclass(frozen=True, slots=True)
class Format:
    """How to write API objects."""

    yaml: bool = False
    projection: Projection = ""
    version: str = "v1"
    """Of meta.k8s.io, for a projection."""


@lru_cache(maxsize=256)
def media_ranges(accept: str) -> tuple[MediaRange, ...]:
    """The alternatives of an Accept header, the most wanted first (RFC 9110, 12.5.1)."""
    found: list[tuple[float, MediaRange]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if not media_type:
            continue
        pairs = [
            (key.strip().lower(), value.strip().strip('"'))
            for key, _, value in (parameter.partition("=") for parameter in parameters)
        ]
        try:
            quality = float(next((value for key, value in pairs if key == "q"), "1"))
        except ValueError:
            quality = 0.0
        if quality > 0:
            others = tuple(pair for pair in pairs if pair[0] != "q")
            found.append((quality, MediaRange(media_type.lower(), others)))
    found.sort(key=lambda entry: -entry[0])  # stable: equals stay in the client's order
    return tuple(media for _, media in found)


@lru_cache(maxsize=256)
def object_format(accept: str, projections: bool = True, tables: bool = True) -> Format:
    """What to write for this Accept header. Raises NotAcceptable.

    `projections` says whether the answer can be projected (a Status or a review can't; it is written whole),
    `tables` whether it may be asked for as a Table at all (a review may not).
    """
    for media in media_ranges(accept) or (MediaRange("*/*"),):
        if media.type not in (JSON, YAML, "*/*", "text/yaml"):
            continue
        yaml = media.type in (YAML, "text/yaml")
        name = media.parameter("as")
        if not name:
            return Format(yaml)
        if name == "Table" and not tables:
            continue
        version = media.parameter("v")
        if name not in _PROJECTIONS or media.parameter("g") != _META_GROUP or version not in _META_VERSIONS:
            continue
        if not projections:
            return Format(yaml)
        return Format(yaml, _PROJECTIONS[name], version)
    raise NotAcceptable.accepting((JSON, YAML))


def first_acceptable(accept: str, types: Sequence[str]) -> str:
    """The first of the client's wishes that is among `types`. Raises NotAcceptable."""
    for media in media_ranges(accept) or (MediaRange("*/*"),):
        if media.type in types:
            return media.type
        if media.type in ("*/*", "application/*"):
            return types[0]
    raise NotAcceptable.accepting(types)
