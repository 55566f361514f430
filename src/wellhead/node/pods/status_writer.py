"""Writes a pod's status to the API: at once when it changes, only the newest, until it has arrived.

What says no more than that the pod is being made waits for what comes of it, as most do within a moment: each
write is heard by a dozen watchers. So does what is true only between a container and the one that replaces
it: a kubelet, which does one thing after the other, has no time to say that.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import ApiError, Conflict, Invalid, NotFound
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS
from wellhead.backoff import Backoff
from wellhead.client.rest import Client, ConnectionLost
from wellhead.node.pods import spec
from wellhead.waiting import comes

_log = logging.getLogger(__name__)

_BEING_MADE = {"ContainerCreating", "PodInitializing"}
_BEING_MADE_SECONDS = 0.5  # before it is said how far that has come
_PASSING_SECONDS = 2.0
_PUT_BACK_SECONDS = 1.0  # at the soonest: whoever writes another status may go on with that


class StatusWriter:
    """The only writer of one pod's status: what others write over it is put back.

    Conditions are merged by type, so those of others (the scheduler's, readiness gates') stay.
    """

    def __init__(self, client: Client, pod: Obj, *, shown: bool = True) -> None:
        """`shown`: whether the API has the pod; if not, nothing is written before `retarget`."""
        self._client = client
        self._shown = shown
        self._metadata = pod["metadata"]
        self._wanted: Obj | None = None
        self._written: Obj | None = None
        self._stored: Obj = {}
        self._version = 0
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._patience = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    def retarget(self, metadata: Obj) -> None:
        """Write to this object from now on: the mirror pod that shows a static one."""
        if self._shown and metadata["uid"] == self._metadata["uid"]:
            return
        self._metadata, self._shown = metadata, True
        status = self._wanted or self._written
        if status is not None:
            self._written = None
            self.set(status)

    def set(self, status: Obj, *, passing: bool = False) -> None:
        """Let the status be this. `passing`: another is about to come."""
        if status != (self._written if self._wanted is None else self._wanted):
            self._wanted = status
            self._patience = _PASSING_SECONDS if passing else _BEING_MADE_SECONDS
            if not (passing or _is_being_made(status)):
                self._urgent.set()
            self._idle.clear()
            self._wake.set()

    def look(self, pod: Obj) -> None:
        """The pod as the API has it: whether what was written is still there."""
        written, metadata = self._written, pod["metadata"]
        if written is None or self._wanted is not None or metadata["uid"] != self._metadata["uid"]:
            return
        if spec.is_finished(pod):
            return  # whoever says so is believed
        # An older version than the one that was written last says nothing.
        if int(metadata.get("resourceVersion") or 0) > self._version and _ours(pod, written) != self._stored:
            _log.info("pod %s: its status was changed by somebody else", self._metadata["name"])
            self._written = None
            self.set(written, passing=True)
            self._patience = _PUT_BACK_SECONDS

    def forget(self) -> None:
        """The API has the pod no more: write nothing."""
        self._shown = False
        self._wake.set()

    async def flushed(self) -> None:
        """Wait until the API has what was last set, or the pod is gone from there."""
        self._urgent.set()
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        backoff = Backoff(0.05, 5.0)
        while True:
            await self._wake.wait()
            if self._wanted is not None and self._shown:
                await comes(self._urgent, self._patience)
            self._urgent.clear()
            self._wake.clear()
            status = self._wanted
            if status is None:
                continue
            if not self._shown:
                self._idle.set()
                continue
            try:
                await self._write(status)
            except (ApiError, ConnectionLost) as error:
                _log.warning("status of pod %s: %s", self._metadata["name"], error)
                await asyncio.sleep(backoff.next())
                self._wake.set()
                continue
            backoff.reset()
            self._written = status
            if self._wanted is status:
                self._wanted = None
                self._idle.set()

    async def _write(self, status: Obj) -> None:
        # The uid makes the server refuse the patch if another pod has taken the name.
        body = {"metadata": {"uid": self._metadata["uid"]}, "status": status}
        if addresses := status.get("podIPs"):
            # By themselves the new addresses of a pod with another sandbox would come beside its old ones.
            body["status"] = {**status, "podIPs": [{"$patch": "replace"}, *addresses]}
        name, namespace = self._metadata["name"], self._metadata["namespace"]
        try:
            stored = await self._client.patch(
                PODS, name, body, namespace, kind="strategic", subresource="status"
            )
            self._version = int(stored["metadata"].get("resourceVersion") or 0)
            self._stored = _ours(stored, status)
        except NotFound:
            _log.debug("pod %s is gone", name)
        except Conflict as error:
            _log.info("pod %s: %s", name, error)
        except Invalid as error:
            if all(cause.field != "metadata.uid" for cause in error.causes):
                raise
            _log.info("pod %s: another has its name now", name)


def _ours(pod: Obj, written: Obj) -> Obj:
    """Of a pod's status, what we have written."""
    status = pod.get("status") or {}
    found = {name: status.get(name) for name in written if name != "conditions"}
    types = {each["type"] for each in written.get("conditions") or ()}
    mine = [each for each in status.get("conditions") or () if each["type"] in types]
    return found | {"conditions": sorted(mine, key=lambda each: str(each["type"]))}


def _is_being_made(status: Obj) -> bool:
    """Whether nothing has happened yet but that somebody has begun."""
    listed = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    states = [each["state"] for name in listed for each in status.get(name) or ()]
    reasons = [(state.get("waiting") or {}).get("reason") for state in states]
    return status["phase"] == "Pending" and all(reason in _BEING_MADE for reason in reasons)
