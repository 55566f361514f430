"""A container's image: found on this machine, asked for, or why the container waits.

Source of the rules, the reasons and the events' words: pkg/kubelet/images/image_manager.go of v1.36.
"""

from __future__ import annotations

import asyncio

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.backoff import Backoff
from wellhead.client.rest import ConnectionLost
from wellhead.images import access, reference
from wellhead.images.registry.credentials import BadCredentials, keyring, lookup
from wellhead.images.store import Image, ImageNotFound
from wellhead.node.pods import pulling
from wellhead.node.pods.state import PodState
from wellhead.node.pods.status import Waiting

_FIRST_DELAY, _LONGEST_DELAY = 10.0, 300.0  # seconds between pulls that fail
_FORGOTTEN_AFTER = 2 * _LONGEST_DELAY
_OTHERS = (
    "is on this machine by credentials that this pod has not shown: `wellhead up --pull` and an "
    "imagePullSecret let it be asked for, `wellhead image pull` makes it everybody's"
)
_SHOWN_SECONDS = 1.0  # of ErrImagePull, before it is ImagePullBackOff


class Images:
    """Finds the image of one container, as often as it is started."""

    def __init__(self, state: PodState) -> None:
        self._state = state
        self._looks = Backoff(0.5, 20.0)
        self._image = ""
        self._problem = ""
        self._delay = 0.0
        self._until = 0.0  # the loop's time

    async def find(self, container: Obj) -> Image | float:
        """The container's image, or in how many seconds to look again; why, events and the status say.

        Raises:
            ApiError, ConnectionLost: whether it can be had can't be asked now.
        """
        state, name, image = self._state, container["name"], container["image"]
        if image != self._image:
            self._image, self._problem, self._delay = image, "", 0.0
            self._looks.reset()
        if problem := reference.problem(image):
            message = (
                f'Failed to apply default image tag "{image}": '
                f'couldn\'t parse image name "{image}": {problem}'
            )
            state.event("Warning", "InspectFailed", message)
            state.event("Warning", "Failed", "Error: InvalidImageName")
            state.wait_for(name, Waiting("InvalidImageName", message))
            return self._looks.next()
        default = "Always" if reference.has_latest_tag(image) else "IfNotPresent"
        policy = container.get("imagePullPolicy") or default
        found: Image | None = None
        missing = ""
        try:
            found = await asyncio.to_thread(state.context.images.find, image)
        except ImageNotFound as error:
            missing = str(error)
        if found is not None and not await self._may_use(found, image):
            missing, found = f"{image} {_OTHERS}", None
        if found is not None and not self._is_pulled_anyway(found, policy):
            await self._withdraw(name)
            self._problem, self._delay = "", 0.0
            idle = policy == "Always" and not state.context.pulls
            how = " (nothing is pulled here: with the policy Always as well)" if idle else ""
            there = "already present on machine and can be accessed by the pod"
            state.event("Normal", "Pulled", f'Container image "{image}" {there}{how}')
            return found
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            state.event("Warning", "ErrImageNeverPull", f"{message}: {missing}")
            self._wait(name, "ErrImageNeverPull", missing)
            return self._looks.next()
        if state.context.pulls:
            return await self._pull(container)
        return self._not_pulled(name, image, missing)

    async def _may_use(self, found: Image, image: str) -> bool:
        """Whether it is for everybody, or the pod has credentials of those for which it was given."""
        known, policy = access.of(found.access, image), self._state.context.image_access
        if known.anyone or not policy.verifies(image, known):
            return True
        if not known.credentials:
            return False
        secrets = [each for each in await pulling.secrets(self._state) if each is not None]
        try:
            logins = lookup(keyring(secrets), image)
        except BadCredentials:
            return False
        return await asyncio.to_thread(access.shows, known, logins, reference.repository(image))

    def _is_pulled_anyway(self, image: Image, policy: str) -> bool:
        # A built-in image is nobody's elsewhere, though a registry may have one of the same name.
        return policy == "Always" and self._state.context.pulls and not image.recipe

    def _not_pulled(self, name: str, image: str, missing: str) -> float:
        state = self._state
        if not self._problem:
            reason = "ErrImagePull"
            state.event("Warning", "Failed", f'Failed to pull image "{image}": {missing}')
        else:
            reason = "ImagePullBackOff"
            state.event("Normal", "BackOff", f'Back-off pulling image "{image}": {missing}')
        self._problem = missing
        self._wait(name, reason, missing)
        return self._looks.next()

    async def _pull(self, container: Obj) -> Image | float:
        state, name, image = self._state, container["name"], container["image"]
        clock = asyncio.get_running_loop().time
        left = self._until - clock()
        if self._problem and left > 0:
            message = f'Back-off pulling image "{image}": {self._problem}'
            before = state.view.waiting.get(name)
            if before is None or before.reason != "ImagePullBackOff":  # else another image has come meanwhile
                state.event("Normal", "BackOff", message)
                self._wait(name, "ImagePullBackOff", message)
            return left
        await self._name_missing_secrets()
        state.event("Normal", "Pulling", f'Pulling image "{image}"')
        begin = clock()
        self._problem = await pulling.pull(state, container)
        if not self._problem:
            try:
                found = await asyncio.to_thread(state.context.images.find, image)
            except ImageNotFound as error:
                self._problem = str(error)
            else:
                state.context.runtime.operations.pulled(found.size, clock() - begin)
                took = f"{clock() - begin:.3f}s"
                state.event(
                    "Normal",
                    "Pulled",
                    f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
                    f"Image size: {found.size} bytes.",
                )
                self._delay = 0.0
                return found
        if clock() - self._until > _FORGOTTEN_AFTER:
            self._delay = 0.0
        self._delay = min(max(self._delay * 2, _FIRST_DELAY), _LONGEST_DELAY)
        self._until = clock() + self._delay
        state.event("Warning", "Failed", f'Failed to pull image "{image}": {self._problem}')
        self._wait(name, "ErrImagePull", self._problem)
        return _SHOWN_SECONDS

    def _wait(self, name: str, reason: str, message: str) -> None:
        self._state.event("Warning", "Failed", f"Error: {reason}")
        self._state.wait_for(name, Waiting(reason, message))

    async def _withdraw(self, name: str) -> None:
        """It has come by another way than was asked for, or before this agent was killed."""
        if self._state.context.pulls:
            await pulling.withdraw(self._state, name)

    async def _name_missing_secrets(self) -> None:
        try:
            missing = await pulling.missing_secrets(self._state)
        except (ApiError, ConnectionLost):
            return  # the puller will ask again
        if missing:
            self._state.event(
                "Warning",
                "FailedToRetrieveImagePullSecret",
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
                "attempting to pull the image may not succeed.",
            )
