"""Asks the plugins, in their order: first all that change an object, later all that may refuse it."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.managed_fields import entries
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.resource import Resource
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.gate import OPEN, Gate

_IN_OPTIONS = ("fieldManager", "fieldValidation")

Phases = tuple[tuple[Plugin, ...], tuple[Plugin, ...]]


class Admission:
    """The plugins that count, and which of them a request concerns."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._phases: dict[tuple[Operation, Resource, str], Phases] = {}

    def gate(
        self,
        call: Call,
        operation: Operation,
        *,
        kind: GroupVersionKind | None = None,
        options: Obj | None = None,
        dry_run: bool = False,
    ) -> Gate:
        """What the call's write has to pass. `kind` is that of the body, if it isn't the resource's."""
        info = call.info
        phases = self._concerned(operation, call.resource, info.subresource)
        if not any(phases):
            return OPEN
        request = Request(
            operation,
            call.user,
            call.resource,
            info.subresource,
            kind or call.resource.gvk,
            info.namespace,
            info.name,
            options=_options(call) if options is None else options,
            verb=call.info.verb,
            dry_run=dry_run,
            warnings=call.warnings,
            annotations={} if call.trail is None else call.trail.annotations,
        )
        return _Gate(phases, request)

    async def connect(self, call: Call, kind: GroupVersionKind, options: Obj) -> None:
        """Whether a stream (exec, attach, port-forward, proxy) may be opened. Raises ApiError."""
        gate = self.gate(call, "CONNECT", kind=kind)
        await gate.validate(await gate.mutate(options, None), None)

    def _concerned(self, operation: Operation, resource: Resource, subresource: str) -> Phases:
        about = (operation, resource, subresource)
        found = self._phases.get(about)
        if found is None:
            concerned = [each for each in self._plugins if each.concerns(*about)]
            found = self._phases[about] = (
                tuple(each for each in concerned if type(each).mutate is not Plugin.mutate),
                tuple(each for each in concerned if type(each).validate is not Plugin.validate),
            )
        return found


_BAD_MANAGERS = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated "
    "mutating admission controller; please fix your requests"
)


def _managers(obj: Obj) -> list[Obj]:
    return (obj.get("metadata") or {}).get("managedFields") or []


def _options(call: Call) -> Obj:
    """What the query says of CreateOptions and UpdateOptions (a patch's become the latter, upstream)."""
    return {name: value for name in _IN_OPTIONS if (value := call.query.get(name))}


class _Gate:
    """The plugins that one write concerns."""

    def __init__(self, phases: Phases, request: Request) -> None:
        self._mutating, self._validating = phases
        self._request = request

    async def mutate(self, new: Obj, old: Obj | None) -> Obj:
        request = self._about(new, old)
        before = _managers(new)
        await self._ask_mutating(request)
        if (after := _managers(request.obj)) is not before and (problem := entries.problem(after)):
            request.obj["metadata"]["managedFields"] = before
            request.warnings.append(f"{_BAD_MANAGERS}: {problem}")
        return request.obj

    async def validate(self, new: Obj, old: Obj | None) -> None:
        request = self._about(new, old)
        try:
            for plugin in self._validating:
                await plugin.validate(request)
        except BaseException:
            await self.abandon()
            raise

    async def remove(self, old: Obj) -> None:
        await self._ask_mutating(self._about({}, old))
        await self.validate({}, old)

    def _about(self, new: Obj, old: Obj | None) -> Request:
        """The request, to be asked anew. A write asks one thing at a time: it needs no other one."""
        request = self._request
        request.obj, request.old = new, old or {}
        request.memory, request.again, request.round = {}, False, 0
        return request

    async def _ask_mutating(self, request: Request) -> None:
        for plugin in self._mutating:
            await plugin.mutate(request)
        if request.again:
            request.round = 1
            for plugin in self._mutating:
                await plugin.mutate(request)

    async def abandon(self) -> None:
        while self._request.undo:
            await self._request.undo.pop()()
