"""postStart and preStop hooks.

Source: "Container Lifecycle Hooks", pkg/kubelet/lifecycle/handlers.go of v1.37.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.meta import Obj
from wellhead.node.pods import http_actions, spec
from wellhead.node.pods.http_actions import RequestFailed, UnknownPort
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.containers import RuntimeFailure

_log = logging.getLogger(__name__)


class HookFailed(Exception):
    """A hook ended badly. The message is for the log alone: what a server said may be a secret."""


async def run(state: PodState, container: Obj, handler: Obj) -> None:
    """Run a hook to its end. Raises HookFailed."""
    kind = next((each for each in _HANDLERS if each in handler), "")
    try:
        if not kind:
            raise HookFailed("invalid handler")
        await _HANDLERS[kind](state, container, handler[kind])
    except (HookFailed, RuntimeFailure, RequestFailed, UnknownPort) as error:
        message = (
            f"{_NAMES.get(kind, kind)} lifecycle hook for Container {container['name']!r} in Pod "
            f"{spec.described(state.pod)!r} failed - error: {error}"
        )
        _log.warning("%s", message)
        raise HookFailed(message) from error


async def _exec(state: PodState, container: Obj, action: Obj) -> None:
    result = await state.run_in(container["name"], tuple(action.get("command") or ()))
    if result.code:
        raise HookFailed(f"command terminated with exit code {result.code}, message: {result.output!r}")


async def _http(state: PodState, container: Obj, action: Obj) -> None:
    """Any answer will do, whatever its status. Who speaks HTTP where HTTPS was asked for is asked so."""
    request = http_actions.request(action, container, state.ip, "lifecycle")
    try:
        await http_actions.get(state.context.http, request)
    except RequestFailed as error:
        if not error.plain:
            raise
        try:
            await http_actions.get(state.context.http, request.in_plain_http())
        except RequestFailed:
            raise error from None
        state.event(
            "Warning",
            "LifecycleHTTPFallback",
            f"request to HTTPS lifecycle hook {request.url.host_port_subcomponent} got HTTP response, "
            "retry with HTTP succeeded",
        )


async def _sleep(state: PodState, container: Obj, action: Obj) -> None:
    await asyncio.sleep(float(action.get("seconds") or 0))


_HANDLERS = {"exec": _exec, "httpGet": _http, "sleep": _sleep}
_NAMES = {"exec": "Exec", "httpGet": "HTTP", "sleep": "Sleep"}
