"""A container's image: found on this machine, or why the container waits."""

from __future__ import annotations

import asyncio

from wellhead.api.meta import Obj
from wellhead.images.reference import has_latest_tag
from wellhead.images.store import Image, ImageNotFound
from wellhead.node.pods.state import PodState
from wellhead.node.pods.status import Waiting


async def find(state: PodState, container: Obj) -> Image | None:
    """The container's image; None, with events and a reason to wait, if it is not here."""
    name, image = container["name"], container["image"]
    try:
        found = await asyncio.to_thread(state.context.images.find, image)
    except ImageNotFound as error:
        default = "Always" if has_latest_tag(image) else "IfNotPresent"
        if (container.get("imagePullPolicy") or default) == "Never":
            reason = "ErrImageNeverPull"
            state.event("Warning", reason, f'Container image "{image}" is not present: {error}')
        else:
            before = state.view.waiting.get(name)
            reason = "ImagePullBackOff" if before is not None else "ErrImagePull"
            if before is None:
                state.event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
            else:
                state.event("Normal", "BackOff", f'Back-off pulling image "{image}"')
        state.event("Warning", "Failed", f"Error: {reason}")
        state.wait_for(name, Waiting(reason, str(error)))
        return None
    state.event("Normal", "Pulled", f'Container image "{image}" already present on machine')
    return found
