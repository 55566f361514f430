"""Startup, readiness and liveness probes.

Source: "Configure Liveness, Readiness and Startup Probes", pkg/kubelet/prober and pkg/probe of v1.37.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from wellhead.api.meta import Obj
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.containers import RuntimeFailure

_USER_AGENT = "kube-probe/1.37"
_BODY_SHOWN = 10 << 10
_RESULT_UNKNOWN = "gRPC probes are not supported by the wellhead node agent; use httpGet, tcpSocket or exec"


@dataclass(frozen=True)
class Outcome:
    """What one probe found; `message` says what is wrong."""

    ok: bool
    message: str = ""


class UnknownPort(ValueError):
    """A probe or hook names a port that the container doesn't declare."""


def port_number(port: int | str, container: Obj) -> int:
    """A port given by number or by a name that the container declares. Raises UnknownPort."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise UnknownPort(f"couldn't find port: {port} in {container['name']}")


async def probe(state: PodState, container: Obj, spec: Obj) -> Outcome:
    """Probe once, within the probe's timeout."""
    seconds = float(spec.get("timeoutSeconds") or 1)
    try:
        async with asyncio.timeout(seconds):
            if "exec" in spec:
                return await _exec(state, container, spec["exec"])
            if "httpGet" in spec:
                return await http_get(state, container, spec["httpGet"])
            if "tcpSocket" in spec:
                return await _tcp(state, container, spec["tcpSocket"])
    except TimeoutError:
        what = f"command {spec['exec'].get('command')}" if "exec" in spec else "probe"
        return Outcome(False, f"{what} timed out after {seconds:g}s")
    except UnknownPort as error:
        return Outcome(False, str(error))
    return Outcome(False, _RESULT_UNKNOWN)


async def _exec(state: PodState, container: Obj, action: Obj) -> Outcome:
    try:
        result = await state.run_in(container["name"], tuple(action.get("command") or ()))
    except RuntimeFailure as error:
        return Outcome(False, str(error))
    return Outcome(result.code == 0, result.output)


async def http_get(state: PodState, container: Obj, action: Obj) -> Outcome:
    """A GET that counts as good with a status from 200 to 399. Raises UnknownPort, TimeoutError."""
    scheme = str(action.get("scheme") or "HTTP").lower()
    host = str(action.get("host") or state.ip)
    port = port_number(action["port"], container)
    path = str(action.get("path") or "/")
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = f"{scheme}://{authority}{path if path.startswith('/') else '/' + path}"
    headers = {"User-Agent": _USER_AGENT, "Accept": "*/*"}
    headers |= {each["name"]: each.get("value") or "" for each in action.get("httpHeaders") or ()}
    try:
        async with state.context.http.get(url, headers=headers) as response:
            if 200 <= response.status < 400:
                return Outcome(True)
            await response.content.read(_BODY_SHOWN)
            return Outcome(False, f"HTTP probe failed with statuscode: {response.status}")
    except aiohttp.ClientConnectorError as error:
        return Outcome(False, f'Get "{url}": dial tcp {authority}: connect: {_reason(error.os_error)}')
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        return Outcome(False, f'Get "{url}": {error or type(error).__name__}')


async def _tcp(state: PodState, container: Obj, action: Obj) -> Outcome:
    host, port = str(action.get("host") or state.ip), port_number(action["port"], container)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return Outcome(False, f"dial tcp {host}:{port}: connect: {_reason(error)}")
    writer.close()
    return Outcome(True)


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error)


async def watch(
    once: Callable[[], Awaitable[Outcome]],
    spec: Obj,
    report: Callable[[bool], Awaitable[None]],
    failed: Callable[[str], None],
) -> None:
    """Probe again and again, until cancelled, as `spec` says.

    `report` is called each time a threshold is reached, with whether it was that of success. `failed` is
    called with the message of each probe that fails.
    """
    await asyncio.sleep(float(spec.get("initialDelaySeconds") or 0))
    period = float(spec.get("periodSeconds") or 10)
    needed = {True: int(spec.get("successThreshold") or 1), False: int(spec.get("failureThreshold") or 3)}
    last, count = None, 0
    clock = asyncio.get_running_loop().time
    while True:
        begun = clock()
        outcome = await once()
        count = count + 1 if outcome.ok == last else 1
        last = outcome.ok
        if not outcome.ok:
            failed(outcome.message)
        if count >= needed[outcome.ok]:
            await report(outcome.ok)
        await asyncio.sleep(max(period - (clock() - begun), 0))
