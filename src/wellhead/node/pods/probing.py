"""Startup, readiness and liveness probes.

Source: "Configure Liveness, Readiness and Startup Probes", pkg/kubelet/prober and pkg/probe of v1.37.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from wellhead.api.meta import Obj
from wellhead.node.pods import grpc_probe, http_actions
from wellhead.node.pods.http_actions import RequestFailed, UnknownPort
from wellhead.node.pods.outcome import Outcome
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.containers import RuntimeFailure


async def probe(state: PodState, container: Obj, spec: Obj) -> Outcome:
    """Probe once, within the probe's timeout."""
    seconds = float(spec.get("timeoutSeconds") or 1)
    try:
        if "exec" in spec:
            return await _exec(state, container, spec["exec"], seconds)
        if "httpGet" in spec:
            return await _http(state, container, spec["httpGet"], seconds)
        if "tcpSocket" in spec:
            return await _tcp(state, container, spec["tcpSocket"], seconds)
        if "grpc" in spec:
            return await grpc_probe.check(state.ip, spec["grpc"], seconds)
    except UnknownPort as error:
        return Outcome(False, str(error))
    return Outcome(False, "this kind of probe is not supported by the wellhead node agent")


async def _exec(state: PodState, container: Obj, action: Obj, seconds: float) -> Outcome:
    command = tuple(action.get("command") or ())
    try:
        async with asyncio.timeout(seconds):
            result = await state.run_in(container["name"], command)
    except TimeoutError:
        line = " ".join(command)
        return Outcome(False, f'command timed out: "{line}" timed out after {seconds:g}s')
    except RuntimeFailure as error:
        return Outcome(False, str(error))
    return Outcome(True) if result.code == 0 else Outcome(False, result.output)


async def _http(state: PodState, container: Obj, action: Obj, seconds: float) -> Outcome:
    request = http_actions.request(action, container, state.ip, "probe")
    try:
        async with asyncio.timeout(seconds):
            answer = await http_actions.get(state.context.http, request)
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(False, f'Get "{request.url}": {why}')
    except RequestFailed as error:
        return Outcome(False, str(error))
    if not 200 <= answer.status < 400:
        # Without its body, which may hold secrets.
        return Outcome(False, f"HTTP probe failed with statuscode: {answer.status}")
    if answer.status >= 300:
        return Outcome(True, f"Probe terminated redirects, Response body: {answer.body}")
    return Outcome(True)


async def _tcp(state: PodState, container: Obj, action: Obj, seconds: float) -> Outcome:
    host = str(action.get("host") or state.ip)
    port = http_actions.port_number(action["port"], container)
    where = http_actions.authority(host, port)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(False, f"dial tcp {where}: i/o timeout")
    except OSError as error:
        return Outcome(False, f"dial tcp {where}: connect: {http_actions.reason(error)}")
    writer.close()
    return Outcome(True)


async def watch(
    once: Callable[[], Awaitable[Outcome]],
    spec: Obj,
    report: Callable[[bool], Awaitable[None]],
    said: Callable[[Outcome], None],
    *,
    ran: float = 0.0,
) -> None:
    """Probe again and again, until cancelled, as `spec` says.

    `report` is called each time a threshold is reached, with whether it was that of success. `said` is
    called with the outcome of each probe that fails or warns. Delays count from the container's start, which
    was `ran` seconds ago.
    """
    await asyncio.sleep(max(float(spec.get("initialDelaySeconds") or 0) - max(ran, 0.0), 0.0))
    period = float(spec.get("periodSeconds") or 10)
    needed = {True: int(spec.get("successThreshold") or 1), False: int(spec.get("failureThreshold") or 3)}
    last, count = None, 0
    clock = asyncio.get_running_loop().time
    while True:
        begun = clock()
        outcome = await once()
        count = count + 1 if outcome.ok == last else 1
        last = outcome.ok
        if not outcome.ok or outcome.message:
            said(outcome)
        if count >= needed[outcome.ok]:
            await report(outcome.ok)
        await asyncio.sleep(max(period - (clock() - begun), 0))
