"""componentstatuses: the storage, and what listens for its health where upstream's components do."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

from wellhead import ports
from wellhead.api.errors import NotFound
from wellhead.api.kinds.componentstatus import COMPONENTSTATUSES, component_status
from wellhead.api.meta import Obj
from wellhead.api.selectors import FieldSelector, LabelSelector
from wellhead.apiserver.call import Call
from wellhead.apiserver.health import Check
from wellhead.apiserver.made_up import answer_list, answer_one

_SECONDS = 5.0
_ASKED = ("controller-manager", "scheduler")
_STORAGE = "etcd-0"


async def component_statuses(
    call: Call, storage: Check, session: aiohttp.ClientSession
) -> web.StreamResponse:
    """Answer a get or a list. Raises NotFound, BadRequest."""
    name = call.info.name
    if name and name != _STORAGE and name not in _ASKED:
        raise NotFound.of(COMPONENTSTATUSES, name)
    wanted = [name] if name else sorted((_STORAGE, *_ASKED))
    found = await asyncio.gather(
        *(_of_storage(storage) if each == _STORAGE else _of(each, session) for each in wanted)
    )
    if name:
        return await answer_one(call, found[0])
    labels = LabelSelector.parse(call.query.get("labelSelector", ""), call.limits)
    fields = FieldSelector.parse(call.query.get("fieldSelector", ""))
    chosen = [
        each
        for each in found
        if labels.matches({}) and fields.exact("metadata.name") in (None, each["metadata"]["name"])
    ]
    return await answer_list(call, chosen)


async def _of_storage(storage: Check) -> Obj:
    problem = await storage()
    return component_status(_STORAGE, "" if problem else "ok", problem)


async def _of(name: str, session: aiohttp.ClientSession) -> Obj:
    url = f"http://127.0.0.1:{ports.HEALTH[name]}/healthz"
    try:
        async with asyncio.timeout(_SECONDS), session.get(url) as response:
            text = (await response.text()).strip()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return component_status(name, f'Get "{url}": {error or type(error).__name__}', "unreachable")
    if response.status == 200:
        return component_status(name, text)
    return component_status(name, text, f"its health is answered with {response.status}")
