"""deletecollection: every object that a selection covers."""

from __future__ import annotations

import asyncio

from aiohttp import web

from wellhead.api.errors import MethodNotAllowed, NotFound
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_json
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.selection import selection
from wellhead.apiserver.verbs.delete import read_options
from wellhead.storage.encoding import encode_json

# Deletions that are under way at once: enough to share a commit, few enough to leave room for others.
_WORKERS = 64


async def delete_collection(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """The answer is the List of what was deleted. Raises what `Registry.delete` raises but NotFound."""
    resource = call.resource
    if "deletecollection" not in resource.verbs or (resource.namespaced and not call.info.namespace):
        raise MethodNotAllowed
    options = await read_options(call)
    dry_run = call.dry_run or options.dry_run
    chosen = selection(call, registry)
    items = registry.collection(resource).items(chosen.namespace)
    if chosen.converted:
        await registry.prepare(resource, items)
    if chosen.matches is not None:
        items = list(filter(chosen.matches, items))

    limit = asyncio.Semaphore(_WORKERS)

    async def delete(namespace: str, name: str) -> bytes | None:
        async with limit:
            try:
                gate = admission.gate(call, "DELETE", options=options.sent, dry_run=dry_run)
                written = await registry.delete(
                    resource, namespace, name, options, gate=gate, dry_run=dry_run
                )
            except NotFound:
                return None  # somebody else was faster
        return written.data

    results = await asyncio.gather(*(delete(item.namespace, item.name) for item in items))
    head = {
        "kind": resource.list_kind,
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(registry.cache.revision)},
    }
    documents = b",".join(data for data in results if data is not None)
    return await answer_json(call, b'%b,"items":[%b]}' % (encode_json(head)[:-1], documents))
