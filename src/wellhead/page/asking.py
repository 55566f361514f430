"""Questions: a world, and perhaps a Service as it might be, and what explain says of them. Pure."""

from __future__ import annotations

import copy
from collections.abc import Callable

from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.page.errors import CannotAsk
from wellhead.page.values import Answer, Answered, Ask, Edit
from wellhead.paths.client import UnknownClient
from wellhead.paths.difference import differences
from wellhead.paths.explain import Question
from wellhead.paths.parties.wellhead import FORWARDER, PROXY
from wellhead.paths.reading import Obj, tables, text
from wellhead.paths.rendering import text as rendering
from wellhead.paths.report import explain
from wellhead.paths.targets import UnknownTarget
from wellhead.paths.way import Report
from wellhead.paths.world import Decoded, World

_MOST_CLIENTS = 50
_SOME_HEALTH_CHECK_NODE_PORT = 32767
"""Stands for the one that the API server would give."""


def answer(world: World, ask: Ask) -> Answered:
    """What explain says. Raises CannotAsk."""
    report = _report(world, ask)
    told = _text(report)
    if ask.edit is None:
        return Answered(report=report, text=told)
    other = _report(world.having(Decoded(edited(world, ask.edit))), ask)
    found = tuple(differences(report, other))
    return Answered(
        report=report,
        text=told,
        edited=Answer(report=other, text=_text(other)),
        differences=found,
        summary="\n".join(map(str, found)) or "Nothing changes for anybody.",
    )


def _text(report: Report) -> str:
    return rendering.text(report, wide=False)


def _report(world: World, ask: Ask) -> Report:
    if ask.node and ask.node not in world.nodes:
        raise CannotAsk(
            f"there is no node {ask.node!r}; there are {', '.join(sorted(world.nodes)) or 'none'}"
        )
    if ask.port is not None and not 0 < ask.port < 65536:
        raise CannotAsk(f"{ask.port} is no port")
    if len(ask.clients) > _MOST_CLIENTS:
        raise CannotAsk(f"{len(ask.clients)} clients are too many: the most are {_MOST_CLIENTS}")
    try:
        return explain(world, Question(ask.target, ask.namespace, ask.clients, ask.port, ask.node, True))
    except (UnknownTarget, UnknownClient) as error:
        raise CannotAsk(str(error)) from None


# A Service as it might be


def edited(world: World, edit: Edit) -> Obj:
    """The Service with changes, and with what its API server and balancer would make of them.

    Raises CannotAsk: there is no such Service, or no such change.
    """
    namespace, _, name = edit.service.rpartition("/")
    found = world.service(namespace or "default", name)
    if found is None:
        raise CannotAsk(f"there is no Service {edit.service!r}")
    obj = copy.deepcopy(found)
    for field, value in edit.changes.items():
        if field not in _EDITS:
            raise CannotAsk(f"{field!r} can't be edited here; these can: {', '.join(_EDITS)}")
        _EDITS[field](obj, value)
    spec = obj.setdefault("spec", {})
    local = text(spec, "type") == "LoadBalancer" and text(spec, "externalTrafficPolicy") == "Local"
    if local and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = _SOME_HEALTH_CHECK_NODE_PORT
    return obj


def _one_of(field: str, *choices: str) -> Callable[[Obj, object], None]:
    def change(obj: Obj, value: object) -> None:
        if value not in choices:
            raise CannotAsk(f"{field} is one of {', '.join(choices)}, not {value!r}")
        obj.setdefault("spec", {})[field] = value

    return change


def _external_policy(obj: Obj, value: object) -> None:
    spec = obj.get("spec") or {}
    if text(spec, "type") not in ("NodePort", "LoadBalancer") and not spec.get("externalIPs"):
        raise CannotAsk(
            "externalTrafficPolicy is for Services with node ports, load balancers or external IPs: this one "
            "has none"
        )
    _one_of("externalTrafficPolicy", "Cluster", "Local")(obj, value)


def _preserve(obj: Obj, value: object) -> None:
    if not isinstance(value, bool):
        raise CannotAsk(f"preserveClientIP is true or false, not {value!r}")
    metadata = obj.setdefault("metadata", {})
    annotations = dict(metadata.get("annotations") or {})
    annotations[PRESERVE_CLIENT_IP_ANNOTATION] = "true" if value else "false"
    metadata["annotations"] = annotations


def _class(obj: Obj, value: object) -> None:
    if not isinstance(value, str):
        raise CannotAsk(f"loadBalancerClass is a text, not {value!r}")
    spec = obj.setdefault("spec", {})
    if text(spec, "type") != "LoadBalancer":
        raise CannotAsk("loadBalancerClass is for Services of type LoadBalancer")
    spec.pop("loadBalancerClass", None)
    if value:
        spec["loadBalancerClass"] = value
    mode = {PROXY: "Proxy", FORWARDER: "VIP", "": "VIP"}.get(value)
    for each in tables(obj, "status", "loadBalancer", "ingress"):
        if mode is not None and each.get("ip"):
            each["ipMode"] = mode


_EDITS: dict[str, Callable[[Obj, object], None]] = {
    "externalTrafficPolicy": _external_policy,
    "internalTrafficPolicy": _one_of("internalTrafficPolicy", "Cluster", "Local"),
    "preserveClientIP": _preserve,
    "loadBalancerClass": _class,
}
