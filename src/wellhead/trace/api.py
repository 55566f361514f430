"""What a trace needs to know of a cluster, read once from its API server."""

from __future__ import annotations

import asyncio

from wellhead.api.errors import ApiError
from wellhead.api.well_known import NODES, PODS, SERVICES
from wellhead.client.connection import Connection
from wellhead.client.rest import Client, ConnectionLost
from wellhead.linux.numbers import TUNNEL_PORT
from wellhead.trace.observer import CannotWatch
from wellhead.trace.target import Objects

_SECONDS = 10.0

TUNNELS = frozenset({TUNNEL_PORT, 4789, 8472})
"""UDP ports of VXLAN that are looked into: ours, its own, and the one that Linux had before."""


def read(connection: Connection) -> Objects:
    """Pods, Nodes and Services. Blocks. Raises CannotWatch."""
    try:
        return asyncio.run(_read(connection))
    except TimeoutError:
        raise CannotWatch(f"the API server doesn't answer within {_SECONDS:.0f} s") from None
    except (ConnectionLost, ApiError) as error:
        raise CannotWatch(f"the API server doesn't answer: {error}") from None


async def _read(connection: Connection) -> Objects:
    async with asyncio.timeout(_SECONDS), Client(connection, "wellhead-trace") as client:
        pods, nodes, services = [
            (await client.list(resource))["items"] for resource in (PODS, NODES, SERVICES)
        ]
    return Objects(pods, nodes, services)
