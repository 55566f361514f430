"""/openapi/v2 and /openapi/v3: the API's schema, as `kubectl explain` and client-side validation read it.

A document is made when the first client asks for it, and kept compressed.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from functools import lru_cache
from typing import NamedTuple

from aiohttp import web

from wellhead.api import openapi as documents
from wellhead.api.errors import NotFound
from wellhead.api.openapi import protobuf
from wellhead.apiserver.call import Call
from wellhead.apiserver.negotiation import JSON, first_acceptable
from wellhead.storage.encoding import encode_json

_GZIP_LEVEL = 6  # once for all clients, so it may take its time


class _Document(NamedTuple):
    compressed: bytes
    etag: str


async def openapi(call: Call, rest: list[str]) -> web.Response:
    """Raises NotFound, NotAcceptable."""
    match rest:
        case ["v2"]:
            path = "v2"
        case ["v3", *group_path]:
            path = "/".join(group_path)
            if path and path not in documents.group_paths():
                raise NotFound.path()
        case _:
            raise NotFound.path()
    # kubectl wants Protobuf for version 2, and does without a document of version 3 that there is only so.
    offered = (JSON, protobuf.MEDIA_TYPE) if path == "v2" else (JSON,)
    accept = call.http.headers.get("Accept", "").replace(protobuf.ASKED_FOR_AS, protobuf.MEDIA_TYPE)
    media_type = first_acceptable(accept, offered)
    document = await asyncio.to_thread(_document, path, media_type)
    headers = {"Content-Type": media_type, "ETag": document.etag, "Vary": "Accept-Encoding, Accept"}
    # The index names each document together with its hash, so a client may keep what it got by that name.
    headers["Cache-Control"] = "public, immutable" if "hash" in call.query else "no-cache, private"
    if call.http.headers.get("If-None-Match") == document.etag:
        return web.Response(status=304, headers=headers)
    if "gzip" in call.http.headers.get("Accept-Encoding", ""):
        return web.Response(body=document.compressed, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=await asyncio.to_thread(gzip.decompress, document.compressed), headers=headers)


@lru_cache(maxsize=64)
def _document(path: str, media_type: str) -> _Document:
    """The document at a path below /openapi/v3 ('' is the index), or v2's."""
    if media_type == protobuf.MEDIA_TYPE:
        data = protobuf.encode_v2(documents.openapi_v2())
    elif path == "v2":
        data = encode_json(documents.openapi_v2())
    elif path:
        data = encode_json(documents.openapi_v3(path))
    else:
        data = encode_json(documents.openapi_v3_index())
    return _Document(
        gzip.compress(data, _GZIP_LEVEL, mtime=0), f'"{hashlib.sha512(data).hexdigest().upper()}"'
    )
