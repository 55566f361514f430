"""A container's image: found on this machine, or why the container waits.

Nothing is pulled, so an image that is there is used whatever `imagePullPolicy` says, and one that isn't is
waited for. Source of the reasons and of the events' words: pkg/kubelet/images/image_manager.go of v1.36.
"""

from __future__ import annotations

import asyncio

from wellhead.api.meta import Obj
from wellhead.images import reference
from wellhead.images.store import Image, ImageNotFound
from wellhead.node.pods.state import PodState
from wellhead.node.pods.status import Waiting


async def find(state: PodState, container: Obj) -> Image | None:
    """The container's image; None, with events and a reason to wait, if it is not here."""
    name, image = container["name"], container["image"]
    if problem := reference.problem(image):
        message = (
            f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {problem}'
        )
        state.event("Warning", "InspectFailed", message)
        state.event("Warning", "Failed", "Error: InvalidImageName")
        state.wait_for(name, Waiting("InvalidImageName", message))
        return None
    default = "Always" if reference.has_latest_tag(image) else "IfNotPresent"
    policy = container.get("imagePullPolicy") or default
    try:
        found = await asyncio.to_thread(state.context.images.find, image)
    except ImageNotFound as error:
        if policy == "Never":
            reason = "ErrImageNeverPull"
            message = f'Container image "{image}" is not present with pull policy of Never'
            state.event("Warning", reason, f"{message}: {error}")
        else:
            before = state.view.waiting.get(name)
            reason = "ImagePullBackOff" if before is not None else "ErrImagePull"
            if before is None:
                state.event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
            else:
                state.event("Normal", "BackOff", f'Back-off pulling image "{image}": {error}')
        state.event("Warning", "Failed", f"Error: {reason}")
        state.wait_for(name, Waiting(reason, str(error)))
        return None
    how = " (nothing is pulled here: with the policy Always as well)" if policy == "Always" else ""
    state.event("Normal", "Pulled", f'Container image "{image}" already present on machine{how}')
    return found
