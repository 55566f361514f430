"""MutatingWebhookConfigurations and ValidatingWebhookConfigurations.

Upstream: pkg/apis/admissionregistration/{v1/defaults.go,validation/validation.go}. What such a configuration
means for a request is decided in `api/webhooks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from wellhead.api import cells
from wellhead.api.errors import Cause, duplicates, one_of
from wellhead.api.formats import dns_1035_label, dns_subdomain, qualified_name
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import ALWAYS_APART, Strategy
from wellhead.api.warnings.names import of_configuration

GROUP = "admissionregistration.k8s.io"


def _resource(kind: str) -> Resource:
    plural = f"{kind.lower()}s"
    return Resource(GROUP, "v1", kind, plural, namespaced=False, categories=("api-extensions",))


MUTATING = _resource("MutatingWebhookConfiguration")
VALIDATING = _resource("ValidatingWebhookConfiguration")

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_WITHOUT_EFFECTS = ("None", "NoneOnDryRun")
_VERSIONS = ("v1", "v1beta1")
_MOST_CONDITIONS = 64
_FORM = "; desired format: https://host[/path]"


_MOST_EXPRESSIONS = 1000
_MOST_CHARACTERS = 65_536


def expressions_in_all(expressions: Iterable[str], at: str) -> Iterator[Cause]:
    """The causes that speak against so many expressions, or so long ones, that they compile for seconds."""
    lengths = [*map(len, expressions)]
    if len(lengths) > _MOST_EXPRESSIONS:
        yield Cause.too_many(at, len(lengths), _MOST_EXPRESSIONS)
    if sum(lengths) > _MOST_CHARACTERS:
        yield Cause.too_long(at, _MOST_CHARACTERS)


class WebhookStrategy(Strategy):
    repeats_warnings = True
    needs_version = True
    counts_generations = True

    def warnings(self, obj: Obj) -> list[str]:
        return of_configuration(obj)

    def __init__(self, *, mutating: bool) -> None:
        self._mutating = mutating

    @property
    def effort(self) -> int:
        return ALWAYS_APART

    def default(self, obj: Obj) -> None:
        for hook in obj.get("webhooks") or ():
            hook.setdefault("failurePolicy", "Fail")
            hook.setdefault("matchPolicy", "Equivalent")
            hook.setdefault("namespaceSelector", {})
            hook.setdefault("objectSelector", {})
            hook.setdefault("timeoutSeconds", 10)
            if self._mutating:
                hook.setdefault("reinvocationPolicy", "Never")
            for rule in hook.get("rules") or ():
                rule.setdefault("scope", "*")
            if (service := (hook.get("clientConfig") or {}).get("service")) is not None:
                service.setdefault("port", 443)

    def validate_create(self, obj: Obj) -> list[Cause]:
        return [*self._causes(obj, frozenset())]

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        # An expression that is there already isn't judged anew: it mustn't keep anything else from changing.
        known = frozenset(
            condition.get("expression", "")
            for hook in old.get("webhooks") or ()
            for condition in hook.get("matchConditions") or ()
        )
        return [*self._causes(new, known)]

    def _causes(self, obj: Obj, known: frozenset[str]) -> Iterator[Cause]:
        conditions = (
            each for hook in obj.get("webhooks") or () for each in hook.get("matchConditions") or ()
        )
        expressions = (condition.get("expression") or "" for condition in conditions)
        if too_much := [*expressions_in_all(expressions, "webhooks")]:
            yield from too_much
            return
        names: set[str] = set()
        for index, hook in enumerate(obj.get("webhooks") or ()):
            at = f"webhooks[{index}]"
            yield from self._of_hook(hook, at, known)
            yield from _of_versions(
                hook.get("admissionReviewVersions") or [], f"{at}.admissionReviewVersions"
            )
            if (name := hook.get("name")) in names:
                yield Cause.duplicate(f"{at}.name", name)
            elif name:
                names.add(name)

    def _of_hook(self, hook: Obj, at: str, known: frozenset[str]) -> Iterator[Cause]:
        yield from _of_name(hook.get("name") or "", f"{at}.name")
        for index, rule in enumerate(hook.get("rules") or ()):
            yield from validate_rule(rule, f"{at}.rules[{index}]")
        yield from one_of(f"{at}.failurePolicy", hook["failurePolicy"], ("Fail", "Ignore"))
        yield from one_of(f"{at}.matchPolicy", hook["matchPolicy"], ("Equivalent", "Exact"))
        effects = hook.get("sideEffects")
        if effects is None:
            yield Cause.required(f"{at}.sideEffects", f"must specify one of {', '.join(_WITHOUT_EFFECTS)}")
        else:
            yield from one_of(f"{at}.sideEffects", effects, _WITHOUT_EFFECTS)
        if not 1 <= (timeout := hook["timeoutSeconds"]) <= 30:
            text = "the timeout value must be between 1 and 30 seconds"
            yield Cause.invalid(f"{at}.timeoutSeconds", timeout, text)
        for selector in ("namespaceSelector", "objectSelector"):
            yield from validate_label_selector(hook[selector], f"{at}.{selector}")
        if self._mutating:
            policy = hook["reinvocationPolicy"]
            yield from one_of(f"{at}.reinvocationPolicy", policy, ("IfNeeded", "Never"))
        yield from validate_client(hook.get("clientConfig") or {}, f"{at}.clientConfig")
        if conditions := hook.get("matchConditions"):
            from wellhead.api.webhooks.conditions import problem_with

            yield from validate_conditions(conditions, f"{at}.matchConditions", known, problem_with)


def _of_name(name: str, at: str) -> Iterator[Cause]:
    if not name:
        yield Cause.required(at)
    elif problems := dns_subdomain(name):
        yield Cause.invalid(at, name, ",".join(problems))
    elif name.count(".") < 2:
        text = "should be a domain with at least three segments separated by dots"
        yield Cause.invalid(at, name, text)


def _of_versions(versions: list[str], at: str) -> Iterator[Cause]:
    accepted = ", ".join(_VERSIONS)
    if not versions:
        yield Cause.required(at, f"must specify one of {accepted}")
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            yield Cause.invalid(f"{at}[{index}]", version, "duplicate version")
            continue
        seen.add(version)
        for problem in dns_1035_label(version):
            yield Cause.invalid(f"{at}[{index}]", version, problem)
    if not seen & {*_VERSIONS}:
        yield Cause.invalid(at, versions, f"must include at least one of {accepted}")


def validate_rule(rule: Obj, at: str) -> Iterator[Cause]:
    """What is wrong with a RuleWithOperations: of a webhook, or of an admission policy."""
    operations = rule.get("operations") or []
    if not operations:
        yield Cause.required(f"{at}.operations")
    yield from _alone(operations, f"{at}.operations", "operations")
    for index, operation in enumerate(operations):
        yield from one_of(f"{at}.operations[{index}]", operation, _OPERATIONS)
    for field, words in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(field) or []
        if not values:
            yield Cause.required(f"{at}.{field}")
        yield from _alone(values, f"{at}.{field}", words)
        if field == "apiVersions":
            for index, version in enumerate(values):
                if not version:
                    yield Cause.required(f"{at}.{field}[{index}]")
    yield from _of_resources(rule.get("resources") or [], f"{at}.resources")
    if (scope := rule.get("scope")) is not None:
        yield from one_of(f"{at}.scope", scope, _SCOPES)


def _alone(values: list[str], at: str, words: str) -> Iterator[Cause]:
    if len(values) > 1 and "*" in values:
        yield Cause.invalid(at, values, f"if '*' is present, must not specify other {words}")


def _of_resources(resources: list[str], at: str) -> Iterator[Cause]:
    if not resources:
        yield Cause.required(at)
    whole: set[str] = set()
    everywhere: set[str] = set()
    plain = False
    for index, text in enumerate(resources):
        here = f"{at}[{index}]"
        if not text:
            yield Cause.required(here)
            continue
        resource, slash, subresource = text.partition("/")
        if not slash:
            plain = text != "*"
            continue
        if resource in whole:
            yield Cause.invalid(here, text, f"if '{resource}/*' is present, must not specify {text}")
        if subresource in everywhere:
            yield Cause.invalid(here, text, f"if '*/{subresource}' is present, must not specify {text}")
        if subresource == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        yield Cause.invalid(at, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and plain:
        text = "if '*' is present, must not specify other resources without subresources"
        yield Cause.invalid(at, resources, text)


def validate_client(client: Obj, at: str) -> Iterator[Cause]:
    """What is wrong with a clientConfig: of an admission or a conversion webhook."""
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield Cause.required(at, "exactly one of url or service is required")
    elif url is not None:
        yield from _of_url(url, f"{at}.url")
    else:
        yield from validate_service(service or {}, f"{at}.service")


def _of_url(url: str, at: str) -> Iterator[Cause]:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        yield Cause.required(at, f"url must be a valid URL: {error}{_FORM}")
        return
    if parts.scheme != "https":
        yield Cause.invalid(at, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not parts.netloc:
        yield Cause.invalid(at, "", f"host must be specified{_FORM}")
    if parts.username is not None:
        user = parts.netloc.rpartition("@")[0]
        yield Cause.invalid(at, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield Cause.invalid(at, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield Cause.invalid(at, parts.query, "query parameters are not permitted in the URL")


def validate_service(service: Obj, at: str) -> Iterator[Cause]:
    """What is wrong with a reference to a Service that is called."""
    for field in ("name", "namespace"):
        if not service.get(field):
            yield Cause.required(f"{at}.{field}")
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        yield Cause.invalid(f"{at}.port", port, text)
    path = service.get("path")
    if not path or path == "/":
        return
    if path == "//":
        yield Cause.invalid(f"{at}.path", path, "segment[0] may not be empty")
        return
    if not path.startswith("/"):
        yield Cause.invalid(f"{at}.path", path, "must start with a '/'")
    for index, step in enumerate(path[1:].removesuffix("/").split("/")):
        problems = dns_subdomain(step) if step else ["may not be empty"]
        for problem in problems:
            text = f"segment[{index}]: {problem}" if step else f"segment[{index}] {problem}"
            yield Cause.invalid(f"{at}.path", path, text)


def validate_conditions(
    conditions: list[Obj], at: str, known: frozenset[str], problem_with: Callable[[str], str]
) -> Iterator[Cause]:
    """What is wrong with match conditions; an expression that is `known` isn't judged anew."""
    if len(conditions) > _MOST_CONDITIONS:
        yield Cause.too_many(at, len(conditions), _MOST_CONDITIONS)
    for index, condition in enumerate(conditions):
        here = f"{at}[{index}]"
        expression = (condition.get("expression") or "").strip()
        if not expression:
            yield Cause.required(f"{here}.expression")
        elif condition["expression"] not in known and (problem := problem_with(expression)):
            yield Cause.invalid(f"{here}.expression", expression, problem)
        if not (name := condition.get("name")):
            yield Cause.required(f"{here}.name")
        else:
            for problem in qualified_name(name):
                yield Cause.invalid(f"{here}.name", name, problem)
    names = [each["name"] for each in conditions if each.get("name")]
    for cause in duplicates(names, at):
        yield Cause(f"{cause.field}.name", cause.reason, cause.message)


def _cells(obj: Obj, now: datetime) -> list[Cell]:
    return [cells.name(obj), len(obj.get("webhooks") or ()), cells.created(obj, now)]


_PRINTER = Printer((NAME, Column("Webhooks", "integer"), AGE), _cells)

KINDS = (
    Kind(MUTATING, WebhookStrategy(mutating=True), _PRINTER),
    Kind(VALIDATING, WebhookStrategy(mutating=False), _PRINTER),
)
