"""What the Node says of its policies: the condition NetworkPolicyUnavailable, written where it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj, condition, now
from wellhead.api.resources import NODES
from wellhead.backoff import Backoff
from wellhead.client.rest import Client, ConnectionLost

log = logging.getLogger(__name__)

TYPE = "NetworkPolicyUnavailable"


class State(NamedTuple):
    """What is to be said. `message` is for people."""

    unavailable: bool
    reason: str
    message: str


IN_FORCE = State(False, "PoliciesInForce", "what NetworkPolicies say is in force")


def unknown(problems: dict[str, str], *, fails_open: bool) -> State:
    """Given checks and what they find ("": nothing): the state that follows."""
    found = [each for each in problems.values() if each]
    if not found:
        return IN_FORCE
    failing = bool(problems.get("sync"))
    reason = "SyncFailed" if failing else "PoliciesUnknown"
    new = "pass" if fails_open else "are cut off"
    return State(
        True, reason, f"{'; '.join(found)}: what was last in force stays so, and pods that aren't known {new}"
    )


class Condition:
    """Of one Node, as `node` has it now."""

    def __init__(self, client: Client, node: Callable[[], Obj]) -> None:
        self._client = client
        self._node = node
        self._wanted: State | None = None
        self._changed = asyncio.Event()

    def say(self, state: State) -> None:
        """From now on."""
        if self._wanted is None or self._wanted[:2] != state[:2]:
            self._wanted = state
            self._changed.set()

    def say_again(self) -> None:
        """The Node is another one."""
        if self._wanted is not None:
            self._changed.set()

    async def run(self) -> None:
        """Write what is said, until cancelled; what can't be written now, later."""
        backoff = Backoff(0.5, 30.0)
        while True:
            await self._changed.wait()
            self._changed.clear()
            assert self._wanted is not None
            patch = difference(self._node(), self._wanted, now())
            if patch is None:
                continue
            name = self._node()["metadata"]["name"]
            try:
                await self._client.patch(NODES, name, patch, kind="strategic", subresource="status")
                backoff.reset()
            except (ApiError, ConnectionLost) as error:
                log.warning("the Node's condition %s isn't written: %s", TYPE, error)
                self._changed.set()
                await asyncio.sleep(backoff.next())


def difference(node: Obj, state: State, time: str) -> Obj | None:
    """What to patch a Node's status with, so that it says this; None: it does."""
    held = condition(node, TYPE) or {}
    status = "True" if state.unavailable else "False"
    same = held.get("status") == status
    if same and held.get("reason") == state.reason:
        return None
    wanted = {
        "type": TYPE,
        "status": status,
        "reason": state.reason,
        "message": state.message,
        "lastHeartbeatTime": time,
        "lastTransitionTime": held.get("lastTransitionTime") if same else time,
    }
    return {"status": {"conditions": [wanted]}}
