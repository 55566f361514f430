"""serviceaccounts/token: a token for a service account (authentication.k8s.io/v1 TokenRequest)."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from wellhead.api.errors import BadRequest, Cause, Conflict, Invalid, NotFound
from wellhead.api.meta import GroupVersionKind, Obj, format_time
from wellhead.api.metadata import check_sent_namespace
from wellhead.api.resource import Resource
from wellhead.api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_value
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decoded_object
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.tokens import Tokens

_TOKEN_REQUEST = GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest")
_DEFAULT_SECONDS = 3600
_MIN_SECONDS = 600
_MAX_SECONDS = 1 << 32


async def create_token(
    call: Call, registry: Registry, tokens: Tokens, admission: Admission
) -> web.StreamResponse:
    """Raises NotFound, Forbidden, Invalid, BadRequest, Conflict."""
    info = call.info
    gate = admission.gate(call, "CREATE", kind=_TOKEN_REQUEST)
    request = await gate.mutate(await decoded_object(call, _TOKEN_REQUEST), None)
    spec: Obj = request.get("spec") or {}
    account = registry.object(SERVICEACCOUNTS, info.namespace, info.name)
    sent = (request.get("metadata") or {}).get("name")
    if sent and sent != info.name:
        cause = Cause.invalid("metadata.name", sent, "must match the service account name if specified")
        raise Invalid.of(_TOKEN_REQUEST.group, _TOKEN_REQUEST.kind, info.name, [cause])
    check_sent_namespace(request, info.namespace)
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        seconds = _DEFAULT_SECONDS
    causes = []
    if seconds < _MIN_SECONDS:
        causes.append(
            Cause.invalid(
                "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
            )
        )
    if seconds > _MAX_SECONDS:
        causes.append(
            Cause.invalid(
                "spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
            )
        )
    if causes:
        raise Invalid.of(_TOKEN_REQUEST.group, _TOKEN_REQUEST.kind, "", causes)
    await gate.validate(request, None)
    reference = spec.get("boundObjectRef")
    bound = []
    if reference is not None:
        bound = _bound_objects(registry, info.namespace, info.name, reference)
    if seconds > tokens.max_seconds:
        call.warnings.append(
            f"requested expiration of {seconds} seconds shortened to {tokens.max_seconds} seconds"
        )
        seconds = tokens.max_seconds
    audiences = spec.get("audiences") or [tokens.issuer]
    token, expires = tokens.issue(account, audiences, seconds, bound)
    request["metadata"] = {
        "name": info.name,
        "namespace": info.namespace,
        "creationTimestamp": format_time(datetime.now(UTC)),
    }
    request["spec"] = spec | {"audiences": audiences, "expirationSeconds": seconds}
    request["status"] = {
        "token": token,
        "expirationTimestamp": format_time(datetime.fromtimestamp(expires, UTC)),
    }
    return await answer_value(call, request, 201, tables=False)


def _bound_objects(
    registry: Registry, namespace: str, account: str, reference: Obj
) -> list[tuple[Resource, Obj]]:
    """What the token is to be bound to; with a pod comes its node."""
    kind = GroupVersionKind.of(reference)
    resource = {each.kind: each for each in (PODS, SECRETS, NODES)}.get(kind.kind)
    if resource is None or kind.api_version != "v1":
        raise BadRequest(f"cannot bind token to object of type {kind}")
    name = reference.get("name") or ""
    if not name:
        raise BadRequest("Name parameter required.")
    obj = registry.lookup(resource, (namespace if resource.namespaced else "", name))
    if obj is None:
        raise NotFound.of(resource, name)
    if resource == PODS and (obj["spec"].get("serviceAccountName") or "default") != account:
        raise BadRequest(
            f'cannot bind token for serviceaccount "{account}"'
            " to pod running with different serviceaccount name."
        )
    uid = reference.get("uid")
    if uid and uid != obj["metadata"]["uid"]:
        raise Conflict.of(
            resource,
            name,
            f"the UID in the bound object reference ({uid}) does not match the UID in record."
            " The object might have been deleted and then recreated",
        )
    bound = [(resource, obj)]
    if resource == PODS and (node := registry.lookup(NODES, ("", obj["spec"].get("nodeName") or ""))):
        bound.append((NODES, node))
    return bound
