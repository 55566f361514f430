"""IngressClasses: which controller acts on an Ingress.

Upstream: ValidateIngressClass in pkg/apis/networking/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, dns_subdomain
from wellhead.api.kind import Kind
from wellhead.api.kinds.ingress import of_reference
from wellhead.api.meta import Obj
from wellhead.api.names import DEFAULT_INGRESS_CLASS_ANNOTATION
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

INGRESSCLASSES = Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False)

_MAX_CONTROLLER = 250
_SCOPES = ("Cluster", "Namespace")
_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", re.ASCII)


class IngressClassStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        parameters = obj.setdefault("spec", {}).get("parameters")
        if parameters is not None:
            parameters.setdefault("scope", "Cluster")

    def validate(self, obj: Obj) -> list[Cause]:
        controller = obj["spec"].get("controller") or ""
        causes: list[Cause] = []
        if len(controller) > _MAX_CONTROLLER:
            causes.append(Cause.too_long("spec.controller", _MAX_CONTROLLER))
        causes += _of_controller(controller, "spec.controller")
        if (parameters := obj["spec"].get("parameters")) is not None:
            causes += _of_parameters(parameters, "spec.parameters")
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        controller = new["spec"].get("controller")
        if controller != (old.get("spec") or {}).get("controller"):
            causes.append(Cause.invalid("spec.controller", controller or "", "field is immutable"))
        return causes


def is_default(kind: Obj) -> bool:
    return bool((kind["metadata"].get("annotations") or {}).get(DEFAULT_INGRESS_CLASS_ANNOTATION) == "true")


def default_of(kinds: Iterable[Obj]) -> Obj | None:
    """The default class: of several the newest, of those the first by name."""
    marked = sorted(filter(is_default, kinds), key=lambda each: each["metadata"]["name"])
    return max(marked, key=lambda each: each["metadata"].get("creationTimestamp") or "", default=None)


def _of_controller(controller: str, at: str) -> Iterator[Cause]:
    if not controller:
        yield Cause.required(at)
        return
    domain, _, path = controller.partition("/")
    if not domain or not path:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        yield Cause.invalid(at, controller, text)
        return
    yield from (Cause.invalid(at, domain, text) for text in dns_subdomain(domain))
    if not _PATH.fullmatch(path):
        text = f"Invalid path (regex used for validation is '{_PATH.pattern}')"
        yield Cause.invalid(at, path, text)


def _of_parameters(parameters: Obj, at: str) -> Iterator[Cause]:
    yield from of_reference(parameters, at)
    scope, namespace = parameters.get("scope") or "", parameters.get("namespace")
    yield from one_of(f"{at}.scope", scope, _SCOPES)
    if scope == "Namespace":
        if namespace is None:
            yield Cause.required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            yield from (Cause.invalid(f"{at}.namespace", namespace, text) for text in dns_label(namespace))
    elif scope == "Cluster" and namespace is not None:
        yield Cause.forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'")


def _cells(kind: Obj, now: datetime) -> list[Cell]:
    parameters = kind["spec"].get("parameters")
    shown = cells.NONE
    if parameters is not None:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
        shown = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    name = cells.name(kind) + (" (default)" if is_default(kind) else "")
    return [name, kind["spec"].get("controller", ""), shown, cells.created(kind, now)]


KIND = Kind(
    INGRESSCLASSES,
    IngressClassStrategy(),
    Printer((NAME, Column("Controller"), Column("Parameters"), AGE), _cells),
)
