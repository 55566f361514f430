"""What other servers answer to this one: read as far as it may go, since it may be anything."""

from __future__ import annotations

import aiohttp


async def body_of(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """All of an answer's body. Raises ValueError if that is more than so many bytes."""
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > most:
            raise ValueError(f"the response has more than {most} bytes")
    return bytes(data)
