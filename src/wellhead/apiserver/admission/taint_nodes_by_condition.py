"""TaintNodesByCondition: a new node isn't ready until it says so.

Upstream: plugin/pkg/admission/nodetaint.
"""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.names import NOT_READY_TAINT
from wellhead.api.resources import NODES
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_EFFECT = "NoSchedule"


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"
    operations = ("CREATE",)
    resources = (NODES,)

    async def mutate(self, request: Request) -> None:
        taint(request.obj)


def taint(node: Obj) -> None:
    """In place."""
    taints = node.setdefault("spec", {}).setdefault("taints", [])
    if not any((each.get("key"), each.get("effect")) == (NOT_READY_TAINT, _EFFECT) for each in taints):
        taints.append({"key": NOT_READY_TAINT, "effect": _EFFECT})
