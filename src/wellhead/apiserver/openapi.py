"""/openapi/v2 and /openapi/v3: the API's schema, as `kubectl explain` and client-side validation read it.

A document is made when a client asks for it, and kept compressed; one that custom kinds are in is made anew
when it has changed and is asked for again, from the parts that haven't.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from aiohttp import web

from wellhead.api import openapi as documents
from wellhead.api.custom.definition import schema_of
from wellhead.api.errors import NotFound
from wellhead.api.openapi import protobuf_v2, protobuf_v3
from wellhead.api.openapi.protobuf_v2 import encode_v2
from wellhead.api.openapi.protobuf_v3 import encode_v3
from wellhead.api.resource import Resource
from wellhead.apiserver.aggregation.documents import RemoteDocuments, without
from wellhead.apiserver.aggregation.services import Remotes
from wellhead.apiserver.call import Call
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.negotiation import JSON, first_acceptable
from wellhead.storage.encoding import encode_json

_GZIP_LEVEL = 6  # once for all clients, so it may take its time
_FAST = 1
_KEPT = 64  # documents of version 3
_KEPT_PARTS = 1024


class _Document(NamedTuple):
    compressed: bytes
    etag: str


class _Custom(NamedTuple):
    """A custom resource at a moment; `data` is its definition, `state` is other when that is."""

    resource: Resource
    data: bytes
    state: str

    @property
    def group_path(self) -> str:
        return documents.group_path_of(self.resource)


class _Document2(msgspec.Struct):
    paths: msgspec.Raw
    definitions: msgspec.Raw


class OpenAPI:
    """Makes and keeps the documents."""

    def __init__(self, kinds: CustomKinds, remotes: Remotes, others: RemoteDocuments) -> None:
        self._others = others
        self._kinds = kinds
        self._remotes = remotes
        self._documents: OrderedDict[tuple[str, str, str], _Document] = OrderedDict()
        self._parts: OrderedDict[tuple[str, str], tuple[bytes, bytes]] = OrderedDict()
        """Of version 2, compressed: a custom resource's JSON and its Protobuf, by path and state."""
        self._built_in: dict[str, bytes] = {}
        """Of version 2, compressed: what is the same always."""

    async def answer(self, call: Call, rest: list[str]) -> web.Response:
        """Raises NotFound, NotAcceptable."""
        custom = self._custom()
        match rest:
            case ["v2"]:
                path = "v2"
            case ["v3", *group_path]:
                path = "/".join(group_path)
                if path:
                    custom = [each for each in custom if each.group_path == path]
                if path and not custom and path not in documents.group_paths():
                    raise NotFound.path()
            case _:
                raise NotFound.path()
        media_type = JSON  # which the index always is: who accepts it or not isn't asked upstream, either
        if path:
            form = protobuf_v2 if path == "v2" else protobuf_v3
            accept = call.http.headers.get("Accept", "").replace(form.ASKED_FOR_AS, form.MEDIA_TYPE)
            media_type = first_acceptable(accept, (JSON, form.MEDIA_TYPE))
        others = await self._others.parts() if path == "v2" else []
        document = await self._document(path, media_type, custom, others)
        headers = {"Content-Type": media_type, "ETag": document.etag, "Vary": "Accept-Encoding, Accept"}
        # The index names each document together with its hash, so a client may keep what it got by that name.
        headers["Cache-Control"] = "public, immutable" if "hash" in call.query else "no-cache, private"
        if call.http.headers.get("If-None-Match") == document.etag:
            return web.Response(status=304, headers=headers)
        if "gzip" in call.http.headers.get("Accept-Encoding", ""):
            return web.Response(body=document.compressed, headers=headers | {"Content-Encoding": "gzip"})
        data = await asyncio.to_thread(gzip.decompress, document.compressed)
        return web.Response(body=data, headers=headers)

    def _custom(self) -> list[_Custom]:
        found = []
        for resource in self._kinds.all():
            defined = self._kinds.defined(resource)
            if defined is not None:
                found.append(_Custom(resource, defined.item.data, f"{resource!r} {defined.current_from}"))
        return found

    async def _document(
        self, path: str, media_type: str, custom: list[_Custom], others: list[bytes]
    ) -> _Document:
        state = (
            hashlib.sha256("\n".join(each.state for each in custom).encode()).hexdigest() if custom else ""
        )
        for part in others:
            state += hashlib.sha256(part).hexdigest()
        if not path:
            state += str(self._remotes.changes)
        key = (path, media_type, state)
        found = self._documents.get(key)
        if found is None:
            data = await asyncio.to_thread(self._make, path, media_type, custom, others)
            compressed = await asyncio.to_thread(gzip.compress, data, _GZIP_LEVEL, mtime=0)
            found = _Document(compressed, f'"{hashlib.sha512(data).hexdigest().upper()}"')
            if path == "v2":  # of which a client never asks for an older one
                for old in [each for each in self._documents if each[:2] == key[:2]]:
                    del self._documents[old]
            self._documents[key] = found
            while len(self._documents) > _KEPT:
                self._documents.popitem(last=False)
        return found

    def _make(self, path: str, media_type: str, custom: list[_Custom], others: list[bytes]) -> bytes:
        """The document at a path below /openapi/v3 ('' is the index), or v2's."""
        if media_type == protobuf_v2.MEDIA_TYPE:
            parts = [self._part(each)[1] for each in custom]
            # Messages that follow each other are one: their maps are put together.
            whole = b"".join(map(gzip.decompress, [self._whole(media_type), *parts]))
            return whole + b"".join(self._encoded(others))
        if path == "v2":
            return self._joined(custom, others)
        if path:
            with_schemas = [(each.resource, schema_of(each.data, each.resource.version)) for each in custom]
            document = documents.openapi_v3(path, with_schemas)
            assert document is not None
            if media_type == protobuf_v3.MEDIA_TYPE:
                return encode_v3(document)
            return encode_json(document)
        states: dict[str, str] = {}
        for each in custom:
            states[each.group_path] = states.get(each.group_path, "") + each.state
        for remote in self._remotes:
            if remote.available:
                states[remote.path.lstrip("/")] = f"{remote!r} {self._remotes.resources(remote)}"
        return encode_json(documents.openapi_v3_index(states))

    def _encoded(self, others: list[bytes]) -> Iterator[bytes]:
        """Those in Protobuf."""
        if not others:
            return
        whole = msgspec.json.decode(gzip.decompress(self._whole(JSON)), type=_Document2)
        taken = set(msgspec.json.decode(whole.definitions, type=dict[str, msgspec.Raw]))
        for part in others:
            paths, definitions = without(part, taken)
            text = b'{"paths":{%b},"definitions":{%b}}' % (paths, definitions)
            yield encode_v2(msgspec.json.decode(text))

    def _joined(self, custom: list[_Custom], others: list[bytes]) -> bytes:
        whole = gzip.decompress(self._whole(JSON))
        if not custom and not others:
            return whole
        texts = [whole, *(gzip.decompress(self._part(each)[0]) for each in custom)]
        parts = [msgspec.json.decode(text, type=_Document2) for text in texts]
        joined = [(bytes(part.paths)[1:-1], bytes(part.definitions)[1:-1]) for part in parts]
        if others:
            taken = {
                name
                for part in parts
                for name in msgspec.json.decode(part.definitions, type=dict[str, msgspec.Raw])
            }
            joined += [without(part, taken) for part in others]
        paths = b",".join(each for each, _ in joined if each)
        definitions = b",".join(each for _, each in joined if each)
        head = whole[: whole.index(b'"paths":')]
        return b'%b"paths":{%b},"definitions":{%b}}' % (head, paths, definitions)

    def _whole(self, media_type: str) -> bytes:
        found = self._built_in.get(media_type)
        if found is None:
            document = documents.openapi_v2()
            data = encode_v2(document) if media_type == protobuf_v2.MEDIA_TYPE else encode_json(document)
            found = self._built_in[media_type] = gzip.compress(data, _FAST, mtime=0)
        return found

    def _part(self, custom: _Custom) -> tuple[bytes, bytes]:
        key = (custom.resource.path(), custom.state)
        found = self._parts.get(key)
        if found is None:
            schema = schema_of(custom.data, custom.resource.version)
            part = documents.openapi_v2_part(custom.resource, schema)
            found = self._parts[key] = (
                gzip.compress(encode_json(part), _FAST, mtime=0),
                gzip.compress(encode_v2(part), _FAST, mtime=0),
            )
            while len(self._parts) > _KEPT_PARTS:
                self._parts.popitem(last=False)
        return found
