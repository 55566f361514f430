"""In which form an answer is written: JSON, YAML, Protobuf; whole objects, a Table, their metadata only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from wellhead.api.errors import NotAcceptable
from wellhead.apiserver.protobuf.messages import PROTOBUF

Projection = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]
Encoding = Literal["JSON", "YAML", "Protobuf"]
_PROJECTIONS: dict[str, Projection] = {
    "Table": "Table",
    "PartialObjectMetadata": "PartialObjectMetadata",
    "PartialObjectMetadataList": "PartialObjectMetadataList",
}
_META_GROUP = "meta.k8s.io"
_META_VERSIONS = ("v1", "v1beta1")
JSON = "application/json"
YAML = "application/yaml"
_ENCODINGS: dict[str, Encoding] = {
    **dict.fromkeys((JSON, "*/*"), "JSON"),
    **dict.fromkeys((YAML, "text/yaml"), "YAML"),
    PROTOBUF: "Protobuf",
}
ALL: tuple[Encoding, ...] = ("JSON", "YAML", "Protobuf")
TYPES: dict[Encoding, str] = {"JSON": JSON, "YAML": YAML, "Protobuf": PROTOBUF}


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

    encoding: Encoding = "JSON"
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
def object_format(
    accept: str, *, projections: bool = True, tables: bool = True, encodings: tuple[Encoding, ...] = ALL
) -> Format:
    """What to write for this Accept header. Raises NotAcceptable.

    `projections` says whether the answer can be projected (a Status or a review can't; it is written whole),
    `tables` whether it may be asked for as a Table at all (a review may not). Who takes Protobuf and
    something else gets that: Protobuf is what takes long to write here.
    """
    last = None
    for media in media_ranges(accept) or (MediaRange("*/*"),):
        encoding = _ENCODINGS.get(media.type)
        if encoding is None or encoding not in encodings:
            continue
        found = _projected(media, encoding, tables)
        if found is None:
            continue
        if not projections:
            found = Format(encoding)
        if encoding != "Protobuf":
            return found
        last = last or found
    if last is None:
        raise NotAcceptable.accepting(TYPES[encoding] for encoding in encodings)
    return last


def _projected(media: MediaRange, encoding: Encoding, tables: bool) -> Format | None:
    """None: there is no such form."""
    name = media.parameter("as")
    if not name:
        return Format(encoding)
    version = media.parameter("v")
    if name not in _PROJECTIONS or media.parameter("g") != _META_GROUP or version not in _META_VERSIONS:
        return None
    if name == "Table" and (not tables or encoding == "Protobuf"):
        return None
    return Format(encoding, _PROJECTIONS[name], version)


def first_acceptable(accept: str, types: Sequence[str]) -> str:
    """The first of the client's wishes that is among `types`. Raises NotAcceptable."""
    for media in media_ranges(accept) or (MediaRange("*/*"),):
        if media.type in types:
            return media.type
        if media.type in ("*/*", "application/*"):
            return types[0]
    raise NotAcceptable.accepting(types)
