"""Reviews: questions about who somebody is and what they may do. Nothing is stored."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import BadRequest, Cause, Invalid, Unauthorized
from wellhead.api.meta import Obj, now
from wellhead.api.selectors import FieldSelector, FieldTerm
from wellhead.apiserver.answers import answer_value
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import Authenticator, User
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decoded_object
from wellhead.apiserver.node_identity import node_of

_RESOURCE_ATTRIBUTES = ("verb", "group", "resource", "subresource", "namespace", "name")


async def review(call: Call, authenticator: Authenticator, authorizer: Authorizer) -> web.StreamResponse:
    """Raises BadRequest, Invalid."""
    obj = await decoded_object(call, call.resource.gvk)
    spec: Obj = obj.get("spec") or {}
    metadata: Obj = obj.get("metadata") or {}
    obj["metadata"] = metadata | {"creationTimestamp": now()}
    match call.resource.kind:
        case "SelfSubjectReview":
            obj["status"] = {"userInfo": call.user.info}
        case "TokenReview":
            obj["status"] = _token_status(spec, authenticator)
        case "SelfSubjectRulesReview":
            obj["status"] = _rules_status(call.user, spec.get("namespace") or "", authorizer)
        case "SelfSubjectAccessReview":
            obj["status"] = _access_status(call, spec, call.user, authorizer)
        case _:
            extra = {key.lower(): values for key, values in (spec.get("extra") or {}).items()}
            user = User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra)
            if not user.name and not user.groups:
                cause = Cause.invalid("spec.user", "", "at least one of user or group must be specified")
                raise Invalid.of(call.resource.group, call.resource.kind, "", [cause])
            obj["status"] = _access_status(call, spec, user, authorizer)
    return await answer_value(call, obj, 201)


def _token_status(spec: Obj, authenticator: Authenticator) -> Obj:
    audiences = tuple(spec.get("audiences") or ())
    try:
        user, accepted = authenticator.reviewed(spec.get("token") or "", audiences)
    except Unauthorized as error:
        return {"user": {}, "error": str(error.__cause__ or error)}
    return {"authenticated": True, "user": user.info, "audiences": list(accepted)}


def _rules_status(user: User, namespace: str, authorizer: Authorizer) -> Obj:
    rules = authorizer.rules(user)
    return {
        "resourceRules": [
            {
                "verbs": sorted(r.verbs),
                "apiGroups": sorted(r.groups),
                "resources": sorted(r.resources),
                **({"resourceNames": sorted(r.names)} if r.names else {}),
            }
            for r in rules
            if r.resources and r.namespace in ("", namespace)
        ],
        "nonResourceRules": [
            {"verbs": sorted(r.verbs), "nonResourceURLs": sorted(r.paths)} for r in rules if r.paths
        ],
        # What a node may do depends on its pods, and is in no rule.
        "incomplete": node_of(user) is not None,
    }


def _access_status(call: Call, spec: Obj, user: User, authorizer: Authorizer) -> Obj:
    resource: Obj | None = spec.get("resourceAttributes")
    other: Obj | None = spec.get("nonResourceAttributes")
    match resource, other:
        case dict(), None:
            attributes = Attributes(
                **{field: resource.get(field, "") for field in _RESOURCE_ATTRIBUTES},
                fields=_fields(call, resource.get("fieldSelector") or {}),
            )
        case None, dict():
            attributes = Attributes(other.get("verb", "").lower(), path=other.get("path", ""))
        case _:
            cause = Cause.invalid(
                "spec.resourceAttributes",
                resource,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
            raise Invalid.of(call.resource.group, call.resource.kind, "", [cause])
    return {"allowed": authorizer.allows(user, attributes)}


def _fields(call: Call, selector: Obj) -> FieldSelector:
    """The list or watch that is asked about is limited to these; what isn't understood doesn't limit it."""
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        at = "spec.resourceAttributes.fieldSelector.rawSelector"
        cause = Cause.invalid(at, raw, "may not specified at the same time as requirements")
        raise Invalid.of(call.resource.group, call.resource.kind, "", [cause])
    if raw:
        try:
            return FieldSelector.parse(raw)
        except BadRequest:
            return FieldSelector()
    terms = (
        FieldTerm(each.get("key") or "", each["values"][0])
        for each in requirements or ()
        if each.get("operator") == "In" and len(each.get("values") or ()) == 1
    )
    return FieldSelector(tuple(terms))
