"""metrics.k8s.io: what nodes and pods use, asked of the nodes' agents when somebody wants to know.

An APIService of the group that names a Service takes it over, as metrics-server's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from wellhead.api.duration import Duration
from wellhead.api.errors import ApiError, NotFound
from wellhead.api.kinds.usage import NODE_METRICS, node_metrics, pod_metrics, usage
from wellhead.api.meta import Obj, now
from wellhead.api.resources import NODES, PODS
from wellhead.api.selectors import FieldSelector, LabelSelector
from wellhead.apiserver.call import Call
from wellhead.apiserver.made_up import answer_list, answer_one
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.subresources.node_connection import Unreachable, agent_url, request
from wellhead.storage.encoding import decode

_SECONDS = 10.0
"""For an agent's answer. One that takes longer is left out, as one that is gone."""
_AT_ONCE = 20
_DEFAULT_WINDOW = 10.0
"""Seconds; what upstream's kubelet means, which doesn't say."""


async def measured(call: Call, registry: Registry, agents: aiohttp.ClientSession) -> web.StreamResponse:
    """Answer a get or a list of nodes or pods. Raises NotFound, BadRequest."""
    info, resource = call.info, call.resource
    of_nodes = resource == NODE_METRICS
    subjects = _subjects(call, registry, NODES if of_nodes else PODS)
    names = {each["metadata"]["name"] if of_nodes else each["spec"].get("nodeName") for each in subjects}
    summaries = await _summaries(registry, agents, sorted(filter(None, names)))
    found = [
        metrics
        for each in subjects
        if (metrics := (_of_node if of_nodes else _of_pod)(each, summaries)) is not None
    ]
    if info.name:
        if not found:
            name = "/".join(filter(None, (info.namespace, info.name)))
            raise NotFound(f'{resource.singular}.{resource.group} "{name}" not found')
        return await answer_one(call, found[0])
    return await answer_list(call, found)


def _subjects(call: Call, registry: Registry, resource: Any) -> list[Obj]:
    info = call.info
    if info.name:
        return [registry.object(resource, info.namespace, info.name)]
    labels = LabelSelector.parse(call.query.get("labelSelector", ""), call.limits)
    fields = FieldSelector.parse(call.query.get("fieldSelector", ""), call.resource, call.limits)
    namespace = info.namespace or None if resource.namespaced else ""
    objects = (decode(item.data) for item in registry.collection(resource).items(namespace))
    return [
        each for each in objects if labels.matches(each["metadata"].get("labels")) and fields.matches(each)
    ]


async def _summaries(
    registry: Registry, agents: aiohttp.ClientSession, nodes: Iterable[str]
) -> Mapping[str, Obj]:
    """By node, of those whose agents answer."""
    gate = asyncio.Semaphore(_AT_ONCE)
    names = list(nodes)

    async def ask(name: str) -> Obj | None:
        node = registry.lookup(NODES, ("", name))
        if node is None:
            return None
        try:
            async with gate, asyncio.timeout(_SECONDS):
                answer = await request(agents, "GET", agent_url(node) / "stats" / "summary")
                async with answer:
                    document = msgspec.json.decode(await answer.read()) if answer.status == 200 else None
        except (ApiError, Unreachable, TimeoutError, aiohttp.ClientError, msgspec.DecodeError):
            return None
        return document if isinstance(document, dict) else None

    answers = await asyncio.gather(*map(ask, names))
    return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}


def _of_node(node: Obj, summaries: Mapping[str, Obj]) -> Obj | None:
    found = (summaries.get(node["metadata"]["name"]) or {}).get("node") or {}
    amounts = _usage(found)
    if amounts is None:
        return None
    time, window = _times(found)
    return node_metrics(node, time, window, amounts)


def _of_pod(pod: Obj, summaries: Mapping[str, Obj]) -> Obj | None:
    """None unless all that runs of it was measured: a part of it would be taken for the whole."""
    uid, summary = pod["metadata"]["uid"], summaries.get(pod["spec"].get("nodeName") or "") or {}
    entries = summary.get("pods") or ()
    found = next((each for each in entries if (each.get("podRef") or {}).get("uid") == uid), None)
    containers: list[Obj] = (found or {}).get("containers") or []
    usages = [(each, _usage(each)) for each in containers]
    if not usages or any(amounts is None for _, amounts in usages):
        return None
    time, window = _times(containers[0])
    return pod_metrics(
        pod, time, window, [{"name": each["name"], "usage": amounts} for each, amounts in usages]
    )


def _usage(entry: Obj) -> Obj | None:
    cores, memory = (entry.get("cpu") or {}).get("usageNanoCores"), entry.get("memory") or {}
    if cores is None or "workingSetBytes" not in memory:
        return None
    return usage(int(cores), int(memory["workingSetBytes"]))


def _times(entry: Obj) -> tuple[str, str]:
    """(when it was measured, for how long)"""
    cpu = entry.get("cpu") or {}
    return cpu.get("time") or now(), str(Duration(round(cpu.get("windowSeconds", _DEFAULT_WINDOW), 3)))
