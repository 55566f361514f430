"""pods/eviction: a pod is asked to leave, and budgets have their say (EvictionREST)."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from wellhead.api.disruption import is_unprotected, leave, still_processed, take
from wellhead.api.errors import BadRequest, Conflict
from wellhead.api.meta import GroupVersionKind, Obj, condition, is_deleting, now
from wellhead.api.metadata import check_sent_namespace
from wellhead.api.resources import PODDISRUPTIONBUDGETS, PODS
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_value
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decode_body
from wellhead.apiserver.registry.deletion import DeleteOptions, check_preconditions, delete_options
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.encoding import decode

_EVICTION = GroupVersionKind("policy", "v1", "Eviction")
_ATTEMPTS = 10
"""How often a pod that changes meanwhile is looked at again."""


async def evict(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """Delete the pod, unless that would violate its disruption budget.

    Raises NotFound, Conflict, Forbidden, TooManyRequests.
    """
    info = call.info
    gate = admission.gate(call, "CREATE", kind=_EVICTION, dry_run=call.dry_run)
    eviction = await gate.mutate(await _sent(call), None)
    if (eviction.get("metadata") or {}).get("name") != info.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    check_sent_namespace(eviction, info.namespace)
    await gate.validate(eviction, None)
    options = eviction.get("deleteOptions")
    wanted = delete_options(options) if options else DeleteOptions()
    if call.dry_run:
        wanted = replace(wanted, dry_run=True)
    await _evict(registry, info.namespace, info.name, wanted)
    return await answer_value(call, _success(), 201)


async def _sent(call: Call) -> Obj:
    """The body, which may be of the version that kubectl before 1.22 drains with (AcceptsGroupVersion)."""
    document = await call.object(_EVICTION.kind)
    value = document.value
    if isinstance(value, dict) and value.get("apiVersion") == "policy/v1beta1":
        value = value | {"apiVersion": _EVICTION.api_version}
    return decode_body(call, value, _EVICTION, document.complaints)


async def _evict(registry: Registry, namespace: str, name: str, wanted: DeleteOptions) -> None:
    for attempt in range(_ATTEMPTS):
        pod = registry.object(PODS, namespace, name)
        if not is_unprotected(pod):
            break
        running = pod["status"].get("phase") == "Pending" and not is_deleting(pod)
        try:
            # A pod that runs meanwhile, and may serve somebody, is looked at again.
            return await _delete(registry, pod, wanted, as_it_is=running)
        except Conflict:
            if wanted.resource_version or attempt == _ATTEMPTS - 1:
                raise
    found = registry.collection(PODDISRUPTIONBUDGETS).items(namespace)
    allowed = leave(pod, [registry.decoded(PODDISRUPTIONBUDGETS, each) for each in found])
    if allowed.budget:
        await registry.modify(
            PODDISRUPTIONBUDGETS,
            namespace,
            allowed.budget,
            lambda budget: take(budget, name, now()),
            dry_run=wanted.dry_run,
        )
    try:
        await _delete(registry, pod, wanted, as_it_is=bool(allowed.as_it_is))
    except Conflict:
        if not allowed.as_it_is or wanted.resource_version:
            raise
        # It may be healthy now.
        raise still_processed(allowed.as_it_is) from None


async def _delete(registry: Registry, pod: Obj, wanted: DeleteOptions, *, as_it_is: bool) -> None:
    """Mark the pod as disrupted, and delete it; `as_it_is`: only if it is what was looked at."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    if as_it_is and not wanted.resource_version:
        wanted = replace(wanted, resource_version=pod["metadata"]["resourceVersion"])
    if not wanted.dry_run:

        def disrupt(current: Obj) -> None:
            check_preconditions(PODS, current, wanted)
            _set_disrupted(current)

        written = await registry.modify(PODS, namespace, name, disrupt)
        if wanted.resource_version:
            version = decode(written.data)["metadata"]["resourceVersion"]
            wanted = replace(wanted, resource_version=version)
    await registry.delete(PODS, namespace, name, wanted, dry_run=wanted.dry_run)


def _set_disrupted(pod: Obj) -> None:
    status = pod.setdefault("status", {})
    disrupted = condition(pod, "DisruptionTarget")
    if disrupted is None:
        disrupted = {"type": "DisruptionTarget", "lastProbeTime": None}
        status.setdefault("conditions", []).append(disrupted)
    if disrupted.get("status") != "True":
        disrupted["lastTransitionTime"] = now()
    disrupted |= {"status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
    if generation := pod["metadata"].get("generation"):
        disrupted["observedGeneration"] = generation


def _success() -> Obj:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
