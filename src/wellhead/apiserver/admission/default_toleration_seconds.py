"""DefaultTolerationSeconds: a pod stays five minutes on a node that isn't ready or can't be reached.

Upstream: plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.names import NOT_READY_TAINT, UNREACHABLE_TAINT
from wellhead.api.well_known import PODS
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_TOLERATION_SECONDS = 300
_TAINTS = (NOT_READY_TAINT, UNREACHABLE_TAINT)


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"
    resources = (PODS,)

    async def mutate(self, request: Request) -> None:
        for taint in _TAINTS:
            tolerate_for_a_while(request.obj.setdefault("spec", {}), taint)


def tolerate_for_a_while(spec: Obj, taint: str) -> None:
    """In place."""
    tolerations = spec.setdefault("tolerations", [])
    if any(
        toleration.get("key") in (taint, None, "") and toleration.get("effect") in ("NoExecute", None, "")
        for toleration in tolerations
    ):
        return
    tolerations.append(
        {
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _TOLERATION_SECONDS,
        }
    )
