"""ValidatingAdmissionWebhook: webhooks that may refuse, all asked at once.

Upstream: apiserver's pkg/admission/plugin/webhook/validating.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import ApiError
from wellhead.api.kinds.webhooks import VALIDATING
from wellhead.api.resource import Resource
from wellhead.api.webhooks.hook import Hook
from wellhead.api.webhooks.matching import is_exempt
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request
from wellhead.apiserver.webhooks.hooks import Hooks
from wellhead.apiserver.webhooks.invocation import Invocation

_log = logging.getLogger(__name__)


class ValidatingAdmissionWebhook(Plugin):
    name = "ValidatingAdmissionWebhook"
    operations = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources = None

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._hooks = Hooks(environment.registry.cache, VALIDATING, environment.kinds)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        return not is_exempt(resource)

    async def validate(self, request: Request) -> None:
        """Raises ApiError."""
        hooks = self._hooks.concerned(request)
        if not hooks:
            return
        invocation = Invocation(self._environment, request, mutating=False)
        asked = [(hook, name) for _, hook, name in hooks if await invocation.wants(hook, name)]

        async def refusal(index: int, hook: Hook, resource: Resource) -> ApiError | None:
            try:
                await invocation.ask(hook, resource, index)
            except ApiError as error:
                return error
            return None

        found = await asyncio.gather(*(refusal(index, *each) for index, each in enumerate(asked)))
        refusals = [each for each in found if each is not None]
        for each in refusals[1:]:
            _log.warning("refused as well: %s", each)
        if refusals:
            raise refusals[0]
