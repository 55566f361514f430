"""DefaultIngressClass: an Ingress without a class gets the default one. Upstream: plugin/pkg/admission."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.kinds.ingressclass import default_of
from wellhead.api.meta import Obj
from wellhead.api.names import INGRESS_CLASS_ANNOTATION
from wellhead.api.resources import INGRESSCLASSES, INGRESSES
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"
    operations = ("CREATE",)
    resources = (INGRESSES,)

    def __init__(self, environment: Environment) -> None:
        self._registry = environment.registry

    async def mutate(self, request: Request) -> None:
        items = self._registry.collection(INGRESSCLASSES).items()
        classify(request.obj, (self._registry.decoded(INGRESSCLASSES, item) for item in items))


def classify(ingress: Obj, kinds: Iterable[Obj]) -> None:
    """In place."""
    if ingress["spec"].get("ingressClassName") is not None:
        return
    if INGRESS_CLASS_ANNOTATION in (ingress["metadata"].get("annotations") or {}):
        return
    if (found := default_of(kinds)) is not None:
        ingress["spec"]["ingressClassName"] = found["metadata"]["name"]
