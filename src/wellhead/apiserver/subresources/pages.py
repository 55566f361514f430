"""HTML pages in the encodings in which their links can be rewritten."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from wellhead.apiserver.subresources.links import rewrite_html

ENCODINGS = ("", "gzip", "deflate")
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}


def rewritten(body: bytes, encoding: str, rewrite: Callable[[str], str], most: int) -> bytes:
    """The body with its links rewritten, in the same encoding; as it is if broken, or longer than `most`."""
    if not encoding:
        return rewrite_html(body, rewrite)
    unpacking = zlib.decompressobj(wbits=_WINDOWS[encoding])
    try:
        page = unpacking.decompress(body, most)
    except zlib.error:
        return body
    if not unpacking.eof:
        return body
    packing = zlib.compressobj(wbits=_WINDOWS[encoding])
    return packing.compress(rewrite_html(page, rewrite)) + packing.flush()
