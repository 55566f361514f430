"""How workloads create and delete pods: in growing batches, told by events, and nothing twice.

Source: upstream's RealPodControl (pkg/controller/controller_utils.go). What its expectations are for is the
`Store`'s part, but for one thing: a creation whose answer was lost may have worked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

from wellhead.api.errors import ApiError, Conflict, NotFound, namespace_ends
from wellhead.api.kinds.workload import selector_of
from wellhead.api.meta import Obj, owner_reference
from wellhead.api.types.pod import Pod
from wellhead.api.types.shared import ObjectMeta
from wellhead.client.events import EventRecorder
from wellhead.client.rest import ConnectionLost
from wellhead.controllers.store import Store

_LONGEST_BASE = 58
"""So that a generated name stays within the 63 characters of a host name."""


class PodControl:
    """Creates and deletes pods in the name of their owners."""

    def __init__(self, pods: Store[Pod], recorder: EventRecorder) -> None:
        self._pods = pods
        self._recorder = recorder
        self._uncertain: set[str] = set()
        """uids of owners of whose creations one may or may not have worked."""

    async def settle(self, owner: Obj) -> None:
        """Learn of pods that a creation whose answer was lost has made after all. Raises ConnectionLost."""
        uid = owner["metadata"]["uid"]
        if uid in self._uncertain:
            await self._pods.refresh(owner["metadata"]["namespace"], selector_of(owner))
            self._uncertain.discard(uid)

    def forget(self, uid: str) -> None:
        """The owner is gone."""
        self._uncertain.discard(uid)

    async def create(self, owner: Obj, pods: Sequence[Pod]) -> None:
        """Create all of them, or as many as work before one doesn't. Raises ApiError, ConnectionLost."""
        await in_batches([partial(self._create, owner, pod) for pod in pods])

    async def delete(self, owner: Obj, pods: Iterable[Pod]) -> None:
        """Raises ApiError, ConnectionLost; Conflict and NotFound if somebody else was faster."""
        await _all(self._delete(owner, pod) for pod in pods)

    async def _create(self, owner: Obj, pod: Pod) -> None:
        try:
            created = await self._pods.create(pod)
        except ConnectionLost:
            self._uncertain.add(owner["metadata"]["uid"])
            raise
        except ApiError as error:
            if not namespace_ends(error):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        name = created["metadata"]["name"]
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")

    async def _delete(self, owner: Obj, pod: Pod) -> None:
        name = pod["metadata"]["name"]
        try:
            await self._pods.delete(pod)
        except (NotFound, Conflict):
            raise  # somebody else was faster, and the watch is about to say so
        except ApiError as error:
            self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")


def pod_from_template(owner: Obj, template: Obj) -> Pod:
    """A pod from the template, owned by `owner`, to be named by the server."""
    metadata = owner["metadata"]
    from_template = template.get("metadata") or {}
    pod_metadata: ObjectMeta = {
        "generateName": f"{metadata['name']}-"[:_LONGEST_BASE],
        "namespace": metadata["namespace"],
        "ownerReferences": [owner_reference(owner)],
    }
    for name in ("labels", "annotations", "finalizers"):
        if from_template.get(name):
            pod_metadata[name] = from_template[name]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata, "spec": template["spec"]}


def slow_start(count: int) -> Iterator[int]:
    """Batch sizes 1, 2, 4 … that sum up to `count`: creates that can't work are found out with the first."""
    batch = 1
    while count > 0:
        yield min(batch, count)
        count -= batch
        batch *= 2


async def in_batches(tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Do all of them, more and more at once, until one fails."""
    start = 0
    for batch in slow_start(len(tasks)):
        await _all(task() for task in tasks[start : start + batch])
        start += batch


async def _all(tasks: Iterable[Awaitable[None]]) -> None:
    """Await all of them, whatever happens to one; then raise the first error."""
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        if error is not None:
            raise error
