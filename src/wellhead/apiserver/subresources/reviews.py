"""Reviews: questions about who somebody is and what they may do. Nothing is stored."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import BadRequest, Invalid, Unauthorized
from wellhead.api.kinds.reviews import validate
from wellhead.api.meta import Obj, now
from wellhead.api.resources import SELFSUBJECTACCESSREVIEWS
from wellhead.api.selectors import FieldSelector, FieldTerm, LabelSelector
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_value
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import Authenticator, User
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decoded_object
from wellhead.apiserver.node_identity import node_of

_RESOURCE_ATTRIBUTES = ("verb", "group", "resource", "subresource", "namespace", "name")


async def review(
    call: Call, authenticator: Authenticator, authorizer: Authorizer, admission: Admission
) -> web.StreamResponse:
    """Raises BadRequest, Invalid, and what the admission raises."""
    resource, namespace = call.resource, call.info.namespace
    if resource.namespaced and not namespace:
        raise BadRequest("namespace is required on this type: ")
    gate = admission.gate(call, "CREATE", dry_run=call.dry_run)
    obj = await gate.mutate(await decoded_object(call, resource.gvk), None)
    await gate.validate(obj, None)
    spec: Obj = obj.get("spec") or {}
    metadata: Obj = obj.get("metadata") or {}
    if resource.namespaced and metadata.setdefault("namespace", namespace) != namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    match resource.kind:
        case "SelfSubjectReview":
            obj["status"] = {"userInfo": call.user.info}
        case "TokenReview":
            obj["status"] = _token_status(spec, authenticator)
        case "SelfSubjectRulesReview":
            obj["status"] = _rules_status(call.user, spec.get("namespace") or "", authorizer)
        case _:
            if causes := validate(resource, spec, metadata):
                raise Invalid.of(resource.group, resource.kind, "", causes)
            user = call.user
            if resource != SELFSUBJECTACCESSREVIEWS:
                extra = {key.lower(): values for key, values in (spec.get("extra") or {}).items()}
                groups = tuple(spec.get("groups") or ())
                user = User(spec.get("user") or "", groups, spec.get("uid") or "", extra)
            obj["status"] = _access_status(spec, user, authorizer)
    obj["metadata"] = metadata | {"creationTimestamp": now()}
    return await answer_value(call, obj, 201, tables=False)


def _token_status(spec: Obj, authenticator: Authenticator) -> Obj:
    audiences = tuple(spec.get("audiences") or ())
    if not (token := spec.get("token")):
        raise BadRequest("token is required for TokenReview in authentication")
    try:
        user, accepted = authenticator.reviewed(token, audiences)
    except Unauthorized as error:
        why = error.__cause__
        known = f"[invalid bearer token, {why}]" if why is not None and why.__cause__ is None else ""
        return {"user": {}, "error": known or "invalid bearer token"}
    return {"authenticated": True, "user": user.info, "audiences": list(accepted)}


def _rules_status(user: User, namespace: str, authorizer: Authorizer) -> Obj:
    if not namespace:
        raise BadRequest("no namespace on request")
    rules, problem = authorizer.rules(user, namespace)
    resource_rules = [
        {
            "verbs": list(rule.verbs),
            "apiGroups": list(rule.groups),
            "resources": list(rule.resources),
            **({"resourceNames": list(rule.names)} if rule.names else {}),
        }
        for rule in rules
        if rule.resources
    ]
    path_rules = [
        {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.paths)} for rule in rules if rule.paths
    ]
    status: Obj = {
        "resourceRules": resource_rules,
        "nonResourceRules": path_rules,
        "incomplete": node_of(user) is not None,
    }
    return status | ({"evaluationError": problem} if problem else {})


def _access_status(spec: Obj, user: User, authorizer: Authorizer) -> Obj:
    resource: Obj | None = spec.get("resourceAttributes")
    problems: list[str] = []
    if resource is not None:
        attributes = Attributes(
            **{field: resource.get(field, "") for field in _RESOURCE_ATTRIBUTES},
            fields=_fields(resource.get("fieldSelector") or {}, problems),
        )
        _read_labels(resource.get("labelSelector") or {}, problems)
    else:
        other: Obj = spec.get("nonResourceAttributes") or {}
        attributes = Attributes(other.get("verb", ""), path=other.get("path", ""))
    status: Obj = {"allowed": authorizer.allows(user, attributes)}
    if reason := authorizer.reason(user, attributes):
        status["reason"] = reason
    if problems:
        status["evaluationError"] = "; ".join(problems)
    return status


def _fields(selector: Obj, problems: list[str]) -> FieldSelector:
    """The list or watch that is asked about is limited to these; what isn't understood doesn't limit it."""
    at = "spec.resourceAttributes.fieldSelector"
    if raw := selector.get("rawSelector"):
        try:
            return FieldSelector.parse(raw)
        except BadRequest:
            problems.append(f"{at} ignored due to parse error")
            return FieldSelector()
    requirements = selector.get("requirements") or ()
    terms = tuple(
        FieldTerm(each.get("key") or "", each["values"][0], negated=each["operator"] == "NotIn")
        for each in requirements
        if each.get("operator") in ("In", "NotIn") and len(each.get("values") or ()) == 1
    )
    if len(terms) < len(requirements):
        problems.append(f"{at}{' partially' if terms else ''} ignored due to parse error")
    return FieldSelector(terms)


def _read_labels(selector: Obj, problems: list[str]) -> None:
    """No rule here looks at them, but whoever asks is told that they aren't understood."""
    at = "spec.resourceAttributes.labelSelector"
    try:
        if raw := selector.get("rawSelector"):
            LabelSelector.parse(raw)
        else:
            LabelSelector.from_object({"matchExpressions": selector.get("requirements") or []})
    except BadRequest:
        problems.append(f"{at} ignored due to parse error")
