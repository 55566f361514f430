"""postStart and preStop hooks.

Source: "Container Lifecycle Hooks", pkg/kubelet/lifecycle/handlers.go of v1.37.
"""

from __future__ import annotations

import asyncio

from wellhead.api.meta import Obj
from wellhead.node.pods import probing
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.containers import RuntimeFailure


class HookFailed(Exception):
    """A hook ended badly; the message says how."""


async def run(state: PodState, container: Obj, handler: Obj) -> None:
    """Run a hook to its end. Raises HookFailed."""
    try:
        if "exec" in handler:
            command = tuple(handler["exec"].get("command") or ())
            result = await state.run_in(container["name"], command)
            if result.code:
                said = f", stdout: {result.output!r}" if result.output else ""
                raise HookFailed(f"command '{' '.join(command)}' exited with {result.code}{said}")
        elif "httpGet" in handler:
            outcome = await probing.http_get(state, container, handler["httpGet"])
            if not outcome.ok:
                raise HookFailed(outcome.message)
        elif "sleep" in handler:
            await asyncio.sleep(float(handler["sleep"].get("seconds") or 0))
        else:
            raise HookFailed("cannot run handler: only exec, httpGet and sleep are supported")
    except (RuntimeFailure, probing.UnknownPort, TimeoutError) as error:
        raise HookFailed(str(error) or "timed out") from error
