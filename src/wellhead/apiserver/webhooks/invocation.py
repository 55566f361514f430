"""One request on its way past the webhooks: which of them it concerns, what each is asked and answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj, new_uid
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, kind_of
from wellhead.api.webhooks.hook import Hook
from wellhead.api.webhooks.matching import Target, selects_namespace, selects_object
from wellhead.api.webhooks.review import (
    CallFailed,
    Question,
    Verdict,
    dry_run_unsupported,
    rejection,
    verdict_of,
)
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.webhooks.hooks import namespace_of, other_names

_log = logging.getLogger(__name__)

_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class Invocation:
    """Asks webhooks about one request."""

    def __init__(self, environment: Environment, request: Request, *, mutating: bool) -> None:
        self._environment = environment
        self._request = request
        self._mutating = mutating
        self._type = "admit" if mutating else "validating"
        namespace = namespace_of(request)
        self._target = Target(request.operation, request.resource, request.subresource, namespace)

    @property
    def _others(self) -> tuple[Resource, ...]:
        return other_names(self._environment.kinds, self._request)

    async def wants(self, hook: Hook, resource: Resource) -> bool:
        """Whether the hook, whose rules are about such requests, wants to hear of this one.

        Raises NotFound, and Forbidden if nobody can tell.
        """
        request = self._request
        return (
            selects_object(hook.objects, request.obj, request.old)
            and selects_namespace(hook.namespaces, self._target, request.obj, self._labels_of)
            and (not hook.conditions or await self._conditions_hold(hook, resource))
        )

    async def ask(self, hook: Hook, resource: Resource, index: int) -> Verdict | None:
        """What the webhook says; None if it can't be asked and needn't be.

        Raises ApiError: it refuses the request, or can't be asked and has to be.
        """
        request = self._request
        loop = asyncio.get_running_loop()
        began = loop.time()
        code, error = 200, ""
        try:
            if request.dry_run and not hook.takes_dry_runs:
                code, error = 0, "apiserver_internal_error"
                raise dry_run_unsupported(hook.name)
            try:
                verdict = await self._verdict(hook, resource)
            except CallFailed as failure:
                code = 503
                if not hook.may_fail:
                    error = "calling_webhook_error"
                    raise failure.error from None
                _log.warning("%s: %s, and it may fail", hook.configuration, failure)
                self._environment.webhook_metrics.failed_open(hook.name, self._type)
                self._failed_open(hook, index)
                return None
            for key, value in verdict.annotations.items():
                request.annotations[f"{hook.name}/{key}"] = value
            request.warnings += verdict.warnings
            if not verdict.allowed:
                refusal = rejection(hook.name, verdict.status)
                code, error = refusal.code, "no_error"
                raise refusal
            return verdict
        finally:
            self._environment.webhook_metrics.called(
                hook.name, self._type, request.operation, code, loop.time() - began, error
            )

    def converted(self, obj: Obj, source: Resource, target: Resource) -> Obj:
        """The object as another name of its resource has it."""
        if source == target or not obj or self._request.kind != self._request.resource.gvk:
            return obj
        return kind_of(target).strategy.from_storage(kind_of(source).strategy.to_storage(obj))

    def _failed_open(self, hook: Hook, index: int) -> None:
        phase = "mutation" if self._mutating else "validating"
        key = f"failed-open.{phase}.webhook.admission.k8s.io/round_{self._request.round}_index_{index}"
        self._request.annotations[key] = hook.name

    async def _verdict(self, hook: Hook, resource: Resource) -> Verdict:
        review = self._question(resource).review(hook, new_uid())
        answer = await self._environment.webhooks.ask(hook, review)
        return verdict_of(hook, review, answer, mutating=self._mutating)

    def _question(self, resource: Resource) -> Question:
        request = self._request
        own = request.resource
        kind = request.kind if resource == own or request.kind != own.gvk else resource.gvk
        options: Obj | None = None
        if (options_kind := _OPTIONS.get(request.operation)) is not None:
            options = {"kind": options_kind, "apiVersion": "meta.k8s.io/v1", **request.options}
            if request.dry_run:
                options["dryRun"] = ["All"]
        return Question(
            request.operation,
            kind,
            resource,
            request.kind,
            own,
            request.subresource,
            request.name,
            self._target.namespace,
            request.user.info,
            self.converted(request.obj, own, resource) or None,
            self.converted(request.old, own, resource) or None,
            options,
            request.dry_run,
        )

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        item = self._environment.registry.item(NAMESPACES, "", namespace)
        metadata = item.head["metadata"]
        return (metadata.get("labels") or {}) if isinstance(metadata, dict) else {}

    async def _conditions_hold(self, hook: Hook, resource: Resource) -> bool:
        from wellhead.api.webhooks.conditions import ConditionError, all_hold, are_compiled

        question = self._question(resource)
        variables = {
            "object": question.obj,
            "oldObject": question.old,
            "request": question.request(),
            "namespaceObject": None,
            **authorization(self._environment, self._request),
        }
        hold = partial(all_hold, hook.conditions, variables)
        try:
            return await self._environment.registry.apart.judge(hold, at_once=are_compiled(hook.conditions))
        except ConditionError as error:
            if hook.may_fail:
                return False
            raise Forbidden.of(resource, question.name, str(error)) from None


def authorization(environment: Environment, request: Request) -> dict[str, object]:
    """`authorizer` and `authorizer.requestResource`, about whoever sends the request."""
    from wellhead.api.cel.functions.authorizer import Authorizer, Question, resource_check
    from wellhead.apiserver.webhooks.authorizing import asking, on_this_loop

    ask = on_this_loop(asking(environment.authorizer, request.user))
    about = Question(
        group=request.resource.group,
        resource=request.resource.plural,
        subresource=request.subresource,
        namespace=request.namespace,
        name=request.name,
    )
    return {"authorizer": Authorizer(ask), "authorizer.requestResource": resource_check(ask, about)}
