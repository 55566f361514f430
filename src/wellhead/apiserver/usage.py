"""metrics.k8s.io: what nodes and pods use, asked of the nodes' agents when somebody wants to know.

An APIService of the group that names a Service takes it over, as metrics-server's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from wellhead.api.duration import Duration
from wellhead.api.errors import ApiError, NotFound
from wellhead.api.kinds.usage import NODE_METRICS, node_metrics, pod_metrics, usage
from wellhead.api.meta import Obj, now, parse_time
from wellhead.api.resources import NODES, PODS
from wellhead.api.selectors import FieldSelector, LabelSelector
from wellhead.apiserver.answered import body_of
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


_MOST_BYTES = 8 << 20
"""Of an agent's answer. It may have anything in it: a node can be somebody else's."""


class _Cpu(msgspec.Struct):
    usageNanoCores: int | None = None  # noqa: N815 - as the answer has it
    time: str = ""
    windowSeconds: float = _DEFAULT_WINDOW  # noqa: N815


class _Memory(msgspec.Struct):
    workingSetBytes: int | None = None  # noqa: N815


class _Used(msgspec.Struct):
    name: str = ""
    cpu: _Cpu | None = None
    memory: _Memory | None = None

    @property
    def usage(self) -> Obj | None:
        cores = None if self.cpu is None else self.cpu.usageNanoCores
        memory = None if self.memory is None else self.memory.workingSetBytes
        return None if cores is None or memory is None else usage(cores, memory)

    @property
    def times(self) -> tuple[str, str]:
        """(when it was measured, for how long)"""
        cpu = self.cpu or _Cpu()
        try:
            parse_time(cpu.time)
            return cpu.time, str(Duration(round(cpu.windowSeconds, 3)))
        except (ValueError, OverflowError):
            return now(), str(Duration(_DEFAULT_WINDOW))


class _PodRef(msgspec.Struct):
    uid: str = ""


class _Pod(msgspec.Struct):
    podRef: _PodRef | None = None  # noqa: N815
    containers: list[_Used] | None = None


class _Summary(msgspec.Struct):
    node: _Used | None = None
    pods: list[_Pod] | None = None

    def by_pod(self) -> dict[str, list[_Used]]:
        """The containers of each pod, by its UID."""
        return {each.podRef.uid: each.containers or [] for each in reversed(self.pods or []) if each.podRef}


_DECODER = msgspec.json.Decoder(_Summary)


async def measured(call: Call, registry: Registry, agents: aiohttp.ClientSession) -> web.StreamResponse:
    """Answer a get or a list of nodes or pods. Raises NotFound, BadRequest."""
    info, resource = call.info, call.resource
    of_nodes = resource == NODE_METRICS
    subjects = _subjects(call, registry, NODES if of_nodes else PODS)
    names = {each["metadata"]["name"] if of_nodes else each["spec"].get("nodeName") for each in subjects}
    summaries = await _summaries(registry, agents, sorted(filter(None, names)))
    pods = {} if of_nodes else {node: summary.by_pod() for node, summary in summaries.items()}
    made = (_of_node(each, summaries) if of_nodes else _of_pod(each, pods) for each in subjects)
    found = [each for each in made if each is not None]
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
) -> Mapping[str, _Summary]:
    """By node, of those whose agents answer."""
    gate = asyncio.Semaphore(_AT_ONCE)
    names = list(nodes)

    async def ask(name: str) -> _Summary | None:
        node = registry.lookup(NODES, ("", name))
        if node is None:
            return None
        try:
            async with gate, asyncio.timeout(_SECONDS):
                answer = await request(agents, "GET", agent_url(node) / "stats" / "summary")
                async with answer:
                    data = await body_of(answer, _MOST_BYTES) if answer.status == 200 else b""
        except (ApiError, Unreachable, TimeoutError, ValueError, aiohttp.ClientError):
            return None
        try:
            return await registry.apart.run(len(data), partial(_DECODER.decode, data))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    answers = await asyncio.gather(*map(ask, names))
    return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}


def _of_node(node: Obj, summaries: Mapping[str, _Summary]) -> Obj | None:
    summary = summaries.get(node["metadata"]["name"])
    used = None if summary is None else summary.node
    if used is None or used.usage is None:
        return None
    return node_metrics(node, *used.times, used.usage)


def _of_pod(pod: Obj, by_node: Mapping[str, Mapping[str, list[_Used]]]) -> Obj | None:
    """None unless all that runs of it was measured: a part of it would be taken for the whole."""
    containers = by_node.get(pod["spec"].get("nodeName") or "", {}).get(pod["metadata"]["uid"])
    usages = [(each.name, each.usage) for each in containers or ()]
    if not containers or any(amounts is None for _, amounts in usages):
        return None
    named = [{"name": name, "usage": amounts} for name, amounts in usages]
    return pod_metrics(pod, *containers[0].times, named)
