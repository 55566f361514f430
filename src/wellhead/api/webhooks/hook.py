"""A webhook of a configuration as a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wellhead.api.errors import BadRequest
from wellhead.api.meta import AnyObj
from wellhead.api.selectors import LabelSelector

_EVERYTHING = LabelSelector()


@dataclass(frozen=True, slots=True)
class Rule:
    """RuleWithOperations: which operations on which resources."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    """Resource and subresource, each of which may be "*"."""
    scope: str = "*"

    @classmethod
    def of(cls, rule: AnyObj) -> Rule:
        """From a rule as a configuration or a policy has it."""
        resources = (text.partition("/") for text in rule.get("resources") or ())
        return cls(
            frozenset(rule.get("operations") or ()),
            frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("apiVersions") or ()),
            tuple((resource, subresource) for resource, _, subresource in resources),
            rule.get("scope") or "*",
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """A match condition: an expression in CEL."""

    name: str
    expression: str


@dataclass(frozen=True)
class Hook:
    """One webhook, with its defaults."""

    configuration: str
    name: str
    id: str
    """Tells it from all others, also from one of the same name in the same configuration."""
    rules: tuple[Rule, ...]
    client: Mapping[str, object] = field(hash=False)
    """clientConfig."""
    namespaces: LabelSelector = _EVERYTHING
    objects: LabelSelector = _EVERYTHING
    conditions: tuple[Condition, ...] = ()
    equivalent: bool = True
    """Whether it also wants requests by other names of the same resource (matchPolicy)."""
    may_fail: bool = False
    """Whether a request goes on if it can't be called (failurePolicy)."""
    side_effects: str = ""
    seconds: float = 10
    versions: tuple[str, ...] = ()
    """Of the AdmissionReview, in the order of preference."""
    again: bool = False
    """Whether it wants to see what others changed after it (reinvocationPolicy)."""

    @property
    def takes_dry_runs(self) -> bool:
        return self.side_effects in ("None", "NoneOnDryRun")


def hooks_of(configuration: AnyObj) -> Iterator[Hook]:
    """A configuration's webhooks, in its order; what no validation would let in is left out."""
    name = configuration["metadata"]["name"]
    seen: Counter[str] = Counter()
    for hook in configuration.get("webhooks") or ():
        number = seen[hook["name"]]
        seen[hook["name"]] += 1
        try:
            namespaces = LabelSelector.from_object(hook.get("namespaceSelector") or {})
            objects = LabelSelector.from_object(hook.get("objectSelector") or {})
        except BadRequest:
            continue
        yield Hook(
            name,
            hook["name"],
            f"{name}/{hook['name']}/{number}",
            tuple(map(Rule.of, hook.get("rules") or ())),
            hook.get("clientConfig") or {},
            namespaces,
            objects,
            tuple(Condition(each["name"], each["expression"]) for each in hook.get("matchConditions") or ()),
            hook.get("matchPolicy") != "Exact",
            hook.get("failurePolicy") == "Ignore",
            hook.get("sideEffects") or "",
            hook.get("timeoutSeconds") or 10,
            tuple(hook.get("admissionReviewVersions") or ()),
            hook.get("reinvocationPolicy") == "IfNeeded",
        )
