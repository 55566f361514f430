"""scale: how many replicas a workload wants and has, as autoscaling/v1 Scale."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from wellhead.api.custom import values
from wellhead.api.custom.strategy import CustomStrategy
from wellhead.api.errors import BadRequest, Cause, Conflict, InternalError
from wellhead.api.kinds.workload import selector_of
from wellhead.api.managed_fields import update as managed_fields
from wellhead.api.managed_fields.apply import applied
from wellhead.api.managed_fields.scale import REPLICAS, of_parent, of_scale
from wellhead.api.managed_fields.types import type_of
from wellhead.api.managed_fields.update import Writer
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.metadata import check_sent_namespace, refuse
from wellhead.api.metadata import validate as validate_metadata
from wellhead.api.printer import SCALE
from wellhead.api.resource import Resource
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_printed
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decode_body, decoded_object
from wellhead.apiserver.registry.gate import Gate
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.verbs.apply import APPLY, apply_writer, configuration
from wellhead.apiserver.verbs.patch import Patch, check_not_forced
from wellhead.apiserver.verbs.update import check_named
from wellhead.storage.encoding import decode
from wellhead.text import quoted

_SCALE = GroupVersionKind("autoscaling", "v1", "Scale")
_RESOURCE = Resource(_SCALE.group, _SCALE.version, _SCALE.kind, "scale")
_UNKNOWN = -(2**31)
"""Of an object that doesn't say how many it wants, before it is told."""
_COPIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


async def get_scale(call: Call, registry: Registry) -> web.StreamResponse:
    """Raises NotFound."""
    await registry.prepare(call.resource, [registry.item(call.resource, call.info.namespace, call.info.name)])
    return await answer_printed(
        call,
        scaling_of(call.resource).shown(registry.object(call.resource, call.info.namespace, call.info.name)),
        SCALE,
    )


async def update_scale(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """Raises NotFound, Conflict, BadRequest, Invalid."""
    new = await decoded_object(call, _SCALE)
    return await _write(call, registry, admission, lambda _: new, call.writer("UpdateOptions"))


async def patch_scale(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """Raises NotFound, Conflict, BadRequest, Invalid."""
    if call.http.content_type == APPLY:
        return await _apply(call, registry, admission)
    check_not_forced(call)
    document = Patch(call.http.content_type, await call.patch(), call.limits)
    return await _write(
        call,
        registry,
        admission,
        lambda scale: document.decoded(
            scale, _SCALE, lambda patched: decode_body(call, patched, _SCALE, document.complaints)
        ),
        call.writer("PatchOptions"),
    )


async def _apply(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    writer = apply_writer(call)
    config, complaints = await configuration(call)

    def change(scale: Obj) -> Obj:
        merged = applied(_kind(), scale, config, _SCALE, writer, force=call.flag("force"))
        return decode_body(call, merged, _SCALE, complaints)

    return await _write(call, registry, admission, change, None)


async def _write(
    call: Call,
    registry: Registry,
    admission: Admission,
    change: Callable[[Obj], Obj],
    writer: Writer | None,
) -> web.StreamResponse:
    """Without a writer, the scale that `change` makes has its own record of managers."""
    info = call.info
    scaling = scaling_of(call.resource)

    def set_replicas(workload: Obj) -> Obj:
        record = workload["metadata"].get("managedFields") or []
        before = scaling.shown(workload, written=True)
        if managers := of_scale(record, _SCALE.api_version, scaling.path):
            before["metadata"]["managedFields"] = managers
        scale = change(before)
        check_named(scale, info.name)
        check_sent_namespace(scale, info.namespace)
        metadata: Obj = {"namespace": info.namespace} | (scale.get("metadata") or {})
        if writer is None:
            managers = metadata.get("managedFields") or []
        else:
            managers = managed_fields.updated(_kind(), before, scale, writer)
        workload["metadata"]["managedFields"] = of_parent(
            record, managers, workload["apiVersion"], scaling.path
        )
        scaling.check({**scale, "metadata": metadata})
        if (uid := metadata.get("uid")) and uid != workload["metadata"]["uid"]:
            raise Conflict.uid(call.resource, info.name, uid, workload["metadata"]["uid"])
        # The version that the client insists on, or none.
        workload["metadata"]["resourceVersion"] = metadata.get("resourceVersion") or ""
        scaling.put(workload, (scale.get("spec") or {}).get("replicas", 0))
        return workload

    dry_run = call.dry_run
    gate = _ScaleGate(admission.gate(call, "UPDATE", kind=_SCALE, dry_run=dry_run), scaling)
    written = await registry.update(
        call.resource, info.namespace, info.name, set_replicas, gate=gate, dry_run=dry_run
    )
    return await answer_printed(call, scaling.shown(decode(written.data)), SCALE)


def _kind() -> managed_fields.Kind:
    return managed_fields.Kind(_SCALE.api_version, type_of(_SCALE))


class _ScaleGate:
    """Shows to admission the Scales of the workloads that are written."""

    def __init__(self, gate: Gate, scaling: Scaling) -> None:
        self._gate = gate
        self._scaling = scaling

    async def mutate(self, new: Obj, old: Obj | None) -> Obj:
        before = old and self._scaling.shown(old, written=True)
        scale = await self._gate.mutate(self._scaling.shown(new), before)
        self._scaling.put(new, (scale.get("spec") or {}).get("replicas", 0))
        return new

    async def validate(self, new: Obj, old: Obj | None) -> None:
        await self._gate.validate(self._scaling.shown(new), old and self._scaling.shown(old, written=True))

    async def remove(self, old: Obj) -> None:
        await self._gate.remove(self._scaling.shown(old))

    async def abandon(self) -> None:
        await self._gate.abandon()


class Scaling:
    """Where a built-in workload has its replicas."""

    path = REPLICAS

    def replicas(self, workload: Obj, *, written: bool) -> int:
        """How many are wanted."""
        return int(workload["spec"].get("replicas", 1))

    def status(self, workload: Obj) -> Obj:
        """How many there are, and which."""
        status: Obj = {"replicas": (workload.get("status") or {}).get("replicas", 0)}
        if selector := str(selector_of(workload)):
            status["selector"] = selector
        return status

    def put(self, workload: Obj, replicas: int) -> None:
        """Want that many."""
        workload["spec"]["replicas"] = replicas

    def check(self, scale: Obj) -> None:
        """Raises Invalid for a Scale that can't be (upstream: ValidateScale)."""
        causes = validate_metadata(_RESOURCE, scale)
        if (replicas := (scale.get("spec") or {}).get("replicas", 0)) < 0:
            causes.append(Cause.invalid("spec.replicas", replicas, "must be greater than or equal to 0"))
        refuse(_RESOURCE, scale, causes)

    def shown(self, workload: Obj, *, written: bool = False) -> Obj:
        """The workload's Scale; `written`: as it is before it is written, which needs no replicas yet."""
        kept = {field: workload["metadata"][field] for field in _COPIED if field in workload["metadata"]}
        replicas = self.replicas(workload, written=written)
        return {
            "kind": _SCALE.kind,
            "apiVersion": _SCALE.api_version,
            "metadata": kept,
            "spec": {"replicas": replicas} if replicas else {},
            "status": self.status(workload),
        }


class _CustomScaling(Scaling):
    """Of a custom kind: its definition says where."""

    def __init__(self, paths: Obj) -> None:
        self._spec: str = paths["specReplicasPath"]
        self._status: str = paths["statusReplicasPath"]
        self._selector: str = paths.get("labelSelectorPath") or ""
        self.path = tuple(f"f:{name}" for name in self._spec.removeprefix(".").split("."))

    def check(self, scale: Obj) -> None:
        # Its object's rules say how many there may be.
        if (scale.get("spec") or {}).get("replicas", 0) == _UNKNOWN:
            raise BadRequest(f"the spec replicas field {quoted(self._spec)} cannot be empty")

    def replicas(self, workload: Obj, *, written: bool) -> int:
        found = values.at(workload, self._spec)
        if not isinstance(found, int):
            if written:
                return _UNKNOWN
            raise InternalError(f"the spec replicas field {quoted(self._spec)} does not exist")
        return found

    def status(self, workload: Obj) -> Obj:
        status: Obj = {"replicas": values.at(workload, self._status) or 0}
        if self._selector and (selector := values.at(workload, self._selector)):
            status["selector"] = selector
        return status

    def put(self, workload: Obj, replicas: int) -> None:
        values.put(workload, self._spec, replicas)


_BUILT_IN = Scaling()


def scaling_of(resource: Resource) -> Scaling:
    """Where workloads of a resource have their replicas."""
    strategy = None if resource.custom is None else resource.custom.strategy
    if isinstance(strategy, CustomStrategy) and strategy.scale is not None:
        return _CustomScaling(strategy.scale)
    return _BUILT_IN
