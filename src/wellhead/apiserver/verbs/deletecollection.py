"""deletecollection: every object that a selection covers."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from wellhead.api.errors import MethodNotAllowed, NotFound
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.verbs.delete import read_options
from wellhead.apiserver.verbs.list import answer_list, list_form, listed

# Deletions that are under way at once: enough to share a commit, few enough to leave room for others.
_WORKERS = 64


async def delete_collection(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """The answer is the List of what is deleted, as it was before; a limit holds for deletions, too.

    Raises what `list_objects` and `Registry.delete` raise, but for NotFound.
    """
    resource = call.resource
    if "deletecollection" not in resource.verbs or (resource.namespaced and not call.info.namespace):
        raise MethodNotAllowed
    form = list_form(call)
    options = await read_options(call)
    dry_run = call.dry_run or options.dry_run
    items, metadata = await listed(call, registry)
    documents = registry.presented(resource, items)

    limit = asyncio.Semaphore(_WORKERS)

    async def delete(namespace: str, name: str) -> None:
        async with limit:
            gate = admission.gate(call, "DELETE", options=options.sent, dry_run=dry_run)
            with contextlib.suppress(NotFound):  # somebody else was faster
                await registry.delete(resource, namespace, name, options, gate=gate, dry_run=dry_run)

    await asyncio.gather(*(delete(item.namespace, item.name) for item in items))
    return await answer_list(call, form, metadata, documents)
