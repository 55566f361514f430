"""pods/binding: how a pod gets its node."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import BadRequest, Cause, Conflict, PlainError
from wellhead.api.meta import GroupVersionKind, Obj, condition, now
from wellhead.api.metadata import check_sent_namespace
from wellhead.api.resources import PODS
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_value
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decoded_object
from wellhead.apiserver.registry.registry import Registry

_BINDING = GroupVersionKind("", "v1", "Binding")


async def bind(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """Give the pod its node (registry/core/pod/storage, BindingREST): the path names it, or the body alone.

    Raises NotFound, PlainError for a bad target, and Conflict for a pod that has a node or is being deleted.
    """
    info = call.info
    gate = admission.gate(call, "CREATE", kind=_BINDING, dry_run=call.dry_run)
    binding = await gate.mutate(await decoded_object(call, _BINDING), None)
    sent: Obj = binding.get("metadata") or {}
    check_sent_namespace(binding, info.namespace)
    name = info.name or sent.get("name") or ""
    if name != (sent.get("name") or ""):
        raise BadRequest("name in URL does not match name in Binding object")
    if not name:
        raise BadRequest("Name parameter required.")
    target: Obj = binding.get("target") or {}
    causes = []
    if target.get("kind") not in (None, "", "Node"):
        causes.append(Cause.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        causes.append(Cause.required("target.name"))
    if causes:
        # Upstream returns them as a plain error.
        said = [str(cause) for cause in causes]
        raise PlainError(said[0] if len(said) == 1 else f"[{', '.join(said)}]")

    def assign(pod: Obj) -> None:
        metadata = pod["metadata"]
        if (uid := sent.get("uid")) and uid != metadata["uid"]:
            raise Conflict.uid(PODS, name, uid, metadata["uid"])
        if (version := sent.get("resourceVersion")) and version != metadata["resourceVersion"]:
            raise Conflict.version(PODS, name, version, metadata["resourceVersion"])
        if metadata.get("deletionTimestamp"):
            raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
        if node := pod["spec"].get("nodeName"):
            raise _refused(name, f'pod {name} is already assigned to node "{node}"')
        if pod["spec"].get("schedulingGates"):
            raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
        pod["spec"]["nodeName"] = target["name"]
        (pod.get("status") or {}).pop("nominatedNodeName", None)
        for field in ("annotations", "labels"):
            if added := sent.get(field):
                metadata[field] = (metadata.get(field) or {}) | added
        _set_scheduled(pod)

    await gate.validate(binding, None)
    await registry.modify(PODS, info.namespace, name, assign, dry_run=call.dry_run)
    return await answer_value(call, _created(), 201)


def _refused(name: str, why: str) -> Conflict:
    error = Conflict(f'Operation cannot be fulfilled on pods/binding "{name}": {why}')
    error.status["details"] = {"name": name, "kind": "pods/binding"}
    return error


def _set_scheduled(pod: Obj) -> None:
    status = pod.setdefault("status", {})
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None:
        scheduled = {"type": "PodScheduled", "lastProbeTime": None}
        status.setdefault("conditions", []).append(scheduled)
    if scheduled.get("status") != "True":
        scheduled["lastTransitionTime"] = now()
    for field in ("reason", "message"):
        scheduled.pop(field, None)
    scheduled["status"] = "True"


def _created() -> Obj:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
