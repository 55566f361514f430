"""ValidatingAdmissionPolicy: expressions that may refuse, warn, or note something in the audit log.

Upstream: apiserver's pkg/admission/plugin/policy/validating/dispatcher.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from wellhead.api.errors import ApiError, Forbidden
from wellhead.api.policies.policy import Binding, Verdict
from wellhead.api.policies.validation import Policy
from wellhead.api.resource import Resource
from wellhead.api.resources import VALIDATING_BINDINGS, VALIDATING_POLICIES
from wellhead.api.webhooks.matching import is_exempt
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request
from wellhead.apiserver.policies.following import Policies
from wellhead.apiserver.policies.matching import PolicyInvocation, subject
from wellhead.storage.encoding import encode_json

_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


@dataclass(frozen=True)
class _Denial:
    policy: Policy
    binding: Binding | None
    verdict: Verdict

    def __str__(self) -> str:
        by = "" if self.binding is None else f" with binding '{self.binding.name}'"
        return f"ValidatingAdmissionPolicy '{self.policy.name}'{by} denied request: {self.verdict.message}"


class ValidatingAdmissionPolicy(Plugin):
    name = "ValidatingAdmissionPolicy"
    operations = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources = None

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._policies = Policies(environment, VALIDATING_POLICIES, VALIDATING_BINDINGS, Policy)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        return not is_exempt(resource)

    async def validate(self, request: Request) -> None:
        """Raises ApiError."""
        bound = self._policies.concerned(request)
        if not bound:
            return
        invocation = PolicyInvocation(self._environment, request, mutating=False)
        denials: list[_Denial] = []
        for each in await invocation.applicable(bound):
            judged = partial(each.policy.validate, invocation.variables(each))
            apart = self._environment.registry.apart
            findings = await apart.judge(judged, at_once=each.policy.is_compiled)
            for verdict in findings.verdicts:
                denials += _done(request, each.policy, each.binding, verdict)
            denials += [_Denial(each.policy, each.binding, Verdict(text)) for text in findings.errors]
            for key, value in findings.annotations.items():
                _annotate(request, key, value)
        failures = [_Denial(each.policy, each.binding, Verdict(each.message)) for each in invocation.failures]
        if refused := [*failures, *denials]:
            raise _refusal(request, refused[0])


def _done(request: Request, policy: Policy, binding: Binding, verdict: Verdict) -> list[_Denial]:
    """Do what the binding says about a verdict; the denials that are due."""
    denials = []
    for action in binding.actions:
        if action == "Deny":
            denials.append(_Denial(policy, binding, verdict))
        elif action == "Warn":
            said = f"Validation failed for ValidatingAdmissionPolicy '{policy.name}'"
            request.warnings.append(f"{said} with binding '{binding.name}': {verdict.message}")
        else:
            failure = {
                "message": verdict.message,
                "policy": policy.name,
                "binding": binding.name,
                "expressionIndex": verdict.index,
                "validationActions": list(binding.actions),
            }
            request.annotations.setdefault(_FAILURE, encode_json([failure]).decode())
    return denials


def _annotate(request: Request, key: str, value: str) -> None:
    before = request.annotations.get(key)
    if before is None:
        request.annotations[key] = value
    elif value not in before.split(", "):
        request.annotations[key] = f"{before}, {value}"


def _refusal(request: Request, denial: _Denial) -> ApiError:
    error = Forbidden.of(request.resource, subject(request), str(denial))
    reason = denial.verdict.reason or "Invalid"
    error.status["reason"], error.status["code"] = reason, _CODES.get(reason, 422)
    error.status["details"]["causes"] = [{"message": str(denial)}]
    return ApiError.from_status(error.status)
