"""PodSecurity: pods keep to the policies that their namespace's labels name.

Upstream: pod-security-admission's admission/admission.go.
"""

from __future__ import annotations

from wellhead.api.errors import Cause, Forbidden, Invalid
from wellhead.api.meta import Obj
from wellhead.api.pod_security.configuration import configuration
from wellhead.api.pod_security.evaluation import evaluate
from wellhead.api.pod_security.levels import Policies, Policy, policies
from wellhead.api.pod_security.words import Finding
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, PODS
from wellhead.apiserver.admission.configuration import refuse
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request

_TEMPLATES = {
    "replicationcontrollers": ("spec", "template"),
    "podtemplates": ("template",),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
"""Where those that make pods describe them. Only pods are refused: of these, people are warned."""
_AUDIT = "pod-security.kubernetes.io/"
_MOST_PODS = 3000


class PodSecurity(Plugin):
    name = "PodSecurity"

    def __init__(self, environment: Environment) -> None:
        """Raises ConfigurationError."""
        self._registry = environment.registry
        self._configuration, causes = configuration(environment.configurations.get(self.name, {}))
        refuse(self.name, causes)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        if operation not in ("CREATE", "UPDATE"):
            return False
        if resource == PODS:
            return subresource in ("", "ephemeralcontainers", "resize")
        return subresource == "" and (resource == NAMESPACES or resource.group_resource in _TEMPLATES)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden; Invalid for a namespace's labels."""
        if request.resource == NAMESPACES:
            self._check_namespace(request)
            return
        item = self._registry.collection(NAMESPACES).get("", request.namespace)
        if item is None:
            return
        if (exempt := self._exempt(request)) is not None:
            request.annotations[f"{_AUDIT}exempt"] = exempt
            return
        labels = (item.head.get("metadata") or {}).get("labels") or {}  # type: ignore[attr-defined]
        wanted, causes = policies(labels, self._configuration.defaults)
        if wanted.is_privileged and not causes:
            return
        if request.resource != PODS:
            template = _template(request)
            if template is not None and not self._is_exempt_class(request, template):
                judge(request, wanted, causes, template, enforce=False)
        elif self._is_exempt_class(request, request.obj):
            return
        elif request.operation == "CREATE" or _matters(request.obj["spec"], request.old["spec"]):
            judge(request, wanted, causes, request.obj, enforce=True)

    def _exempt(self, request: Request) -> str | None:
        if request.namespace in self._configuration.namespaces:
            return "namespace"
        return "user" if request.user.name in self._configuration.users else None

    def _is_exempt_class(self, request: Request, pod: Obj) -> bool:
        name = (pod.get("spec") or {}).get("runtimeClassName")
        if name is None or name not in self._configuration.runtime_classes:
            return False
        request.annotations[f"{_AUDIT}exempt"] = "runtimeClass"
        return True

    def _check_namespace(self, request: Request) -> None:
        labels, before = (_labels(each) for each in (request.obj, request.old))
        defaults = self._configuration.defaults
        wanted, causes = policies(labels, defaults)
        known, old_causes = policies(before, defaults)
        if causes and (request.operation == "CREATE" or causes != old_causes):
            raise Invalid.for_object(NAMESPACES, request.obj, causes)
        new, old = wanted.enforce, known.enforce
        exempt = request.name in self._configuration.namespaces
        if request.operation == "CREATE":
            request.warnings += _ignored(request.name, labels, wanted, defaults) if exempt else []
            return
        if new == old or not new.strictness:
            return
        if new.minor != old.minor or new.strictness > old.strictness:
            request.warnings += (
                _ignored(request.name, labels, wanted, defaults)
                if exempt
                else self._violated(request.name, new)
            )

    def _violated(self, namespace: str, policy: Policy) -> list[str]:
        """What is there already, and could not be made any more."""
        items = self._registry.collection(PODS).items(namespace)
        checked = items[:_MOST_PODS]
        found: dict[str, list[str]] = {}
        for item in checked:
            pod = self._registry.decoded(PODS, item)
            if pod["spec"].get("runtimeClassName") in self._configuration.runtime_classes:
                continue
            if findings := evaluate(policy, pod["metadata"], pod["spec"]):
                found.setdefault(", ".join(each.reason for each in findings), []).append(item.name)
        warnings = []
        if len(checked) < len(items):
            warnings.append(
                "new PodSecurity enforce level only checked against the first "
                f"{len(checked)} of {len(items)} existing pods"
            )
        if found:
            text = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level'
            warnings.append(f'{text} "{policy}"')
        return warnings + sorted(_named(names, reasons) for reasons, names in found.items())


def _ignored(namespace: str, labels: dict[str, str], wanted: Policies, defaults: Policies) -> list[str]:
    """What is said of an exempt namespace that has a policy."""
    if wanted.is_privileged or wanted == defaults:
        return []
    said = [
        f"{mode}={policy}"
        for mode, policy in (("enforce", wanted.enforce), ("audit", wanted.audit), ("warn", wanted.warn))
        if policy.strictness and (f"{_AUDIT}{mode}" in labels or f"{_AUDIT}{mode}-version" in labels)
    ]
    text = f'namespace "{namespace}" is exempt from Pod Security, and the policy ({", ".join(said)})'
    return [f"{text} will be ignored"]


def judge(request: Request, wanted: Policies, causes: list[Cause], pod: Obj, *, enforce: bool) -> None:
    """Refuse, warn and annotate. Raises Forbidden."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if causes:
        text = "; ".join(map(str, causes))
        request.annotations[f"{_AUDIT}error"] = f"Failed to parse policy: {text}"
    if enforce:
        request.annotations[f"{_AUDIT}enforce-policy"] = str(wanted.enforce)
    refused = evaluate(wanted.enforce, metadata, spec) if enforce else []
    if audited := evaluate(wanted.audit, metadata, spec):
        text = f'would violate PodSecurity "{wanted.audit}": {_all(audited)}'
        request.annotations[f"{_AUDIT}audit-violations"] = text
    if refused:
        text = f'violates PodSecurity "{wanted.enforce}": {_all(refused)}'
        raise Forbidden.of(request.resource, request.name, text)
    if warned := evaluate(wanted.warn, metadata, spec):
        request.warnings.append(f'would violate PodSecurity "{wanted.warn}": {_all(warned)}')


def _all(findings: list[Finding]) -> str:
    return ", ".join(map(str, findings))


def _named(names: list[str], reasons: str) -> str:
    """`a: privileged`, `a (and 2 other pods): privileged`."""
    others = len(names) - 1
    rest = f" (and {others} other pod{'' if others == 1 else 's'})" if others else ""
    return f"{min(names)}{rest}: {reasons}"


def _labels(namespace: Obj) -> dict[str, str]:
    found: dict[str, str] = (namespace.get("metadata") or {}).get("labels") or {}
    return found


def _template(request: Request) -> Obj | None:
    found: Obj | None = request.obj
    for field in _TEMPLATES[request.resource.group_resource]:
        found = (found or {}).get(field)
    return found


def _matters(new: Obj, old: Obj) -> bool:
    """Whether an update may bring what was not judged yet: another image, another container."""
    return _images(new) != _images(old)


def _images(spec: Obj) -> dict[str, list[tuple[str, str]]]:
    return {
        field: [(each["name"], each.get("image") or "") for each in spec.get(field) or ()]
        for field in ("containers", "initContainers", "ephemeralContainers")
    }
