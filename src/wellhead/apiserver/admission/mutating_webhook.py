"""MutatingAdmissionWebhook: webhooks that change objects, one after the other.

Upstream: apiserver's pkg/admission/plugin/webhook/mutating.
"""

from __future__ import annotations

import msgspec

from wellhead.api.documents import read_json
from wellhead.api.errors import ApiError, InternalError
from wellhead.api.kinds.webhooks import MUTATING
from wellhead.api.meta import Obj
from wellhead.api.patch import apply_json_patch
from wellhead.api.resource import Resource
from wellhead.api.webhooks.hook import Hook
from wellhead.api.webhooks.matching import is_exempt
from wellhead.api.webhooks.review import CallFailed
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.mutation import Reinvocation, completed
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request
from wellhead.apiserver.webhooks.hooks import Hooks
from wellhead.apiserver.webhooks.invocation import Invocation
from wellhead.storage.encoding import decode, encode_json
from wellhead.text import quoted

_PATCH = "patch.webhook.admission.k8s.io"
_MUTATION = "mutation.webhook.admission.k8s.io"


class MutatingAdmissionWebhook(Plugin):
    name = "MutatingAdmissionWebhook"
    operations = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources = None

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._hooks = Hooks(environment.registry.cache, MUTATING, environment.kinds)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        return not is_exempt(resource)

    async def mutate(self, request: Request) -> None:
        """Raises ApiError."""
        hooks = self._hooks.concerned(request)
        if not hooks:
            return
        memory = request.memory.setdefault(self.name, Reinvocation[str]())
        assert isinstance(memory, Reinvocation)
        if request.round and request.obj != memory.left:
            memory.changed()
        invocation = Invocation(self._environment, request, mutating=True)
        for index, hook, resource in hooks:
            if request.round and hook.id not in memory.due:
                continue
            if not await invocation.wants(hook, resource):
                continue
            changed = await self._ask(invocation, hook, resource, index, request)
            if changed:
                memory.changed()
                request.again = True
            if hook.again:
                memory.asked.add(hook.id)
        if request.again and not request.round:
            memory.left = decode(encode_json(request.obj))

    async def _ask(
        self, invocation: Invocation, hook: Hook, resource: Resource, index: int, request: Request
    ) -> bool:
        """Whether the webhook changed the object."""
        place = f"round_{request.round}_index_{index}"
        named = {"configuration": hook.configuration, "webhook": hook.name}
        changed = False
        try:
            verdict = await invocation.ask(hook, resource, index)
            if verdict is None or not verdict.patch:
                return False
            patch = self._read(hook, verdict.patch)
            if not patch:
                return False
            if not request.obj:
                raise InternalError(
                    f"admission webhook {quoted(hook.name)} attempted to modify the object, which is not"
                    " supported for this operation"
                )
            seen = invocation.converted(request.obj, request.resource, resource)
            patched = self._patched(request, resource, seen, patch)
            changed = patched != seen
            request.obj = invocation.converted(patched, resource, request.resource)
            written = named | {"patch": patch, "patchType": "JSONPatch"}
            request.annotations[f"{_PATCH}/{place}"] = encode_json(written).decode()
            return changed
        finally:
            request.annotations[f"{_MUTATION}/{place}"] = encode_json(named | {"mutated": changed}).decode()

    def _read(self, hook: Hook, patch: bytes) -> list[Obj]:
        try:
            document, _ = read_json(patch, self._environment.limits)
            return msgspec.convert(document, list[Obj])
        except (ApiError, msgspec.ValidationError) as error:
            text = f"received undecodable patch in webhook response: {error}"
            raise CallFailed(hook.name, text).error from None

    def _patched(self, request: Request, resource: Resource, obj: Obj, patch: list[Obj]) -> Obj:
        """The object as the patch makes it, as one of its kind with its defaults. Raises InternalError."""
        is_whole = request.kind == request.resource.gvk
        kind = resource.gvk if is_whole else request.kind
        try:
            patched = apply_json_patch(decode(encode_json(obj)), patch, self._environment.limits)
            return completed(patched, kind, resource if is_whole else None)
        except ApiError as error:
            raise InternalError(str(error)) from None
