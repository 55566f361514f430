"""Whether a pod's RuntimeClass asks for a runtime that this node has: crun, also by the name of its elder."""

from __future__ import annotations

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resources import RUNTIMECLASSES
from wellhead.client.rest import Client

HANDLERS = ("crun", "runc")


async def problem(client: Client, pod: Obj) -> str:
    """Why the pod can't be run as its class says; "" if it can. Raises ApiError, ConnectionLost."""
    name = pod["spec"].get("runtimeClassName")
    if not name:
        return ""
    try:
        found = await client.get(RUNTIMECLASSES, name)
    except NotFound:
        return f'RuntimeClass "{name}" not found'
    handler = found.get("handler") or ""
    if handler in HANDLERS:
        return ""
    return f'no runtime for "{handler}" is configured: this node has {" and ".join(HANDLERS)}'
