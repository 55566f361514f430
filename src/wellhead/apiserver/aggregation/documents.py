"""OpenAPI version 2 of the servers behind APIServices, cut down to what they are asked for.

Asked for when a client wants the whole document, and then no more often than every ten seconds. Upstream:
kube-aggregator's pkg/controllers/openapi.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import msgspec

from wellhead.api.documents import read_json
from wellhead.api.errors import ApiError
from wellhead.api.limits import Limits
from wellhead.api.meta import Obj
from wellhead.apiserver.aggregation.backend import Backends, Unreachable
from wellhead.apiserver.aggregation.services import Remote, Remotes
from wellhead.apiserver.authn import User
from wellhead.storage.encoding import encode_json

_log = logging.getLogger(__name__)

_AGGREGATOR = User("system:aggregator", ("system:masters",))
_PATH = "/openapi/v2"
_SECONDS = 5.0
_FRESH_SECONDS = 10.0
_MOST_VALUES = 500_000
_REFERENCE = "#/definitions/"
_KINDS = "x-kubernetes-group-version-kind"


@dataclass
class _Known:
    """What an APIService's server said last."""

    etag: str = ""
    part: bytes = b""
    asked_at: float = float("-inf")


class RemoteDocuments:
    """The documents of all servers that are available."""

    def __init__(self, remotes: Remotes, backends: Backends, limits: Limits) -> None:
        self._remotes = remotes
        self._backends = backends
        # What a group's server says of all that it is made of is longer than any object.
        self._limits = replace(limits, body_values=max(limits.body_values, _MOST_VALUES))
        self._known: dict[str, _Known] = {}

    async def parts(self) -> list[bytes]:
        """Paths and definitions of each, as JSON, in the order of their names."""
        there = sorted((each for each in self._remotes if each.available), key=lambda each: each.name)
        for name in self._known.keys() - {each.name for each in there}:
            del self._known[name]
        await asyncio.gather(*(self._refresh(each) for each in there))
        return [part for each in there if (part := self._known[each.name].part)]

    async def _refresh(self, remote: Remote) -> None:
        known = self._known.setdefault(remote.name, _Known())
        now = asyncio.get_running_loop().time()
        if now - known.asked_at < _FRESH_SECONDS:
            return
        known.asked_at = now
        headers = [("Accept", "application/json"), *([("If-None-Match", known.etag)] if known.etag else [])]
        try:
            answer = await self._backends.request(
                remote, "GET", _PATH, _AGGREGATOR, _SECONDS, headers=headers
            )
            async with answer:
                if answer.status != 200:
                    return
                data = await _all(answer, self._limits.request_body)
                etag = answer.headers.get("ETag", "")
            known.part = await asyncio.to_thread(_part, data, remote, self._limits)
            known.etag = etag
        except (Unreachable, ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.info("the APIService %s: its OpenAPI document: %s", remote.name, error)


async def _all(answer: aiohttp.ClientResponse, most: int) -> bytes:
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > most:
            raise ValueError(f"it has more than {most} bytes")
    return bytes(data)


def _part(data: bytes, remote: Remote, limits: Limits) -> bytes:
    document, _ = read_json(data, limits)
    return encode_json(cut_down(document, remote.path)) if isinstance(document, dict) else b""


def cut_down(document: Obj, path: str) -> Obj:
    """The paths below `path`, and the definitions that they and each other name, or that are of its kinds."""
    found = document.get("paths") or {}
    paths = {
        name: each for name, each in found.items() if name.rstrip("/") == path or name.startswith(f"{path}/")
    }
    definitions: Obj = document.get("definitions") or {}
    group, _, version = path.removeprefix("/apis/").partition("/")
    pending = [*_named(paths), *_of_group(definitions, group, version)]
    kept: Obj = {}
    while pending:
        name = pending.pop()
        if name in definitions and name not in kept:
            kept[name] = definitions[name]
            pending += _named(definitions[name])
    return {"paths": paths, "definitions": kept}


def without(part: bytes, taken: set[str]) -> tuple[bytes, bytes]:
    """Its paths and its definitions but those whose names are taken, as members of JSON objects."""
    decoded = msgspec.json.decode(part, type=dict[str, dict[str, msgspec.Raw]])
    definitions = {name: each for name, each in decoded["definitions"].items() if name not in taken}
    taken |= definitions.keys()
    return encode_json(decoded["paths"])[1:-1], encode_json(definitions)[1:-1]


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REFERENCE):
            yield reference.removeprefix(_REFERENCE)
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each)


def _of_group(definitions: Obj, group: str, version: str) -> Iterator[str]:
    for name, definition in definitions.items():
        kinds = definition.get(_KINDS) if isinstance(definition, dict) else None
        for kind in kinds if isinstance(kinds, list) else ():
            if isinstance(kind, dict) and (kind.get("group"), kind.get("version")) == (group, version):
                yield name
