"""What a webhook is asked (an AdmissionReview), and what its answer says.

Upstream: apiserver's admission/plugin/webhook/{request,errors}, util/webhook/error.go.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wellhead.api.errors import ApiError, BadRequest, InternalError
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.resource import Resource
from wellhead.api.webhooks.hook import Hook
from wellhead.text import quoted

_GROUP = "admission.k8s.io"
_KNOWN = ("v1", "v1beta1")
_MOST_ANNOTATIONS = 100


class CallFailed(Exception):
    """A webhook couldn't be asked, or gave no answer that can be understood."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"failed calling webhook {quoted(name)}: {reason}")

    @property
    def error(self) -> ApiError:
        """What the client is told, if the webhook may not fail."""
        return InternalError(str(self))


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as a webhook of one of its resource's names hears of it."""

    operation: str
    kind: GroupVersionKind
    resource: Resource
    request_kind: GroupVersionKind
    request_resource: Resource
    subresource: str
    name: str
    namespace: str
    user: Mapping[str, Any]
    """authentication/v1 UserInfo."""
    obj: Obj | None
    old: Obj | None
    options: Obj | None
    dry_run: bool

    def request(self) -> Obj:
        """The AdmissionRequest without uid and objects: what conditions call `request`."""
        found: Obj = {
            "kind": _kind(self.kind),
            "resource": _resource(self.resource),
            "requestKind": _kind(self.request_kind),
            "requestResource": _resource(self.request_resource),
            "operation": self.operation,
            "userInfo": dict(self.user),
            "dryRun": self.dry_run,
            "options": self.options,
        }
        optional = {
            "subResource": self.subresource,
            "requestSubResource": self.subresource,
            "name": self.name,
            "namespace": self.namespace,
        }
        return found | {field: value for field, value in optional.items() if value}

    def review(self, hook: Hook, uid: str) -> Obj:
        """The AdmissionReview, of the first version that the webhook takes. Raises CallFailed."""
        version = next((each for each in hook.versions if each in _KNOWN), None)
        if version is None:
            text = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
            raise CallFailed(hook.name, f"could not create admission objects: {text}")
        request = {"uid": uid, **self.request(), "object": self.obj, "oldObject": self.old}
        return {"kind": "AdmissionReview", "apiVersion": f"{_GROUP}/{version}", "request": request}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook answered."""

    allowed: bool
    status: Obj
    """Why not."""
    patch: bytes
    warnings: tuple[str, ...]
    annotations: Mapping[str, str]


def verdict_of(hook: Hook, review: Obj, answer: object, *, mutating: bool) -> Verdict:
    """Raises CallFailed for an answer that isn't one to this review."""
    try:
        return _verdict(review, answer, mutating=mutating)
    except _Invalid as error:
        raise CallFailed(hook.name, f"received invalid webhook response: {error}") from None


class _Invalid(Exception):
    pass


def _verdict(review: Obj, answer: object, *, mutating: bool) -> Verdict:
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(response, dict):
        raise _Invalid("webhook response was absent")
    is_v1 = review["apiVersion"] == f"{_GROUP}/v1"
    if is_v1:
        uid, wanted = response.get("uid") or "", review["request"]["uid"]
        if uid != wanted:
            raise _Invalid(f"expected response.uid={quoted(wanted)}, got {quoted(str(uid))}")
        if (answer.get("apiVersion"), answer.get("kind")) != (review["apiVersion"], review["kind"]):
            expected, got = (_said(each) for each in (review, answer))
            raise _Invalid(f"expected webhook response of {expected}, got {got}")
    patch, patch_type = response.get("patch"), response.get("patchType")
    if not mutating and is_v1:
        if patch:
            raise _Invalid("validating webhook may not return response.patch")
        if patch_type is not None:
            raise _Invalid("validating webhook may not return response.patchType")
    if mutating and is_v1:
        if patch and patch_type is None:
            raise _Invalid("webhook returned response.patch but not response.patchType")
        if not patch and patch_type is not None:
            raise _Invalid("webhook returned response.patchType but not response.patch")
        if patch and patch_type != "JSONPatch":
            raise _Invalid(f"unsupported patch type {quoted(str(patch_type))}")
    allowed, status = response.get("allowed"), response.get("status") or {}
    warnings, annotations = response.get("warnings") or [], response.get("auditAnnotations") or {}
    if not (
        isinstance(allowed, bool | None)
        and isinstance(status, dict)
        and isinstance(warnings, list)
        and isinstance(annotations, dict)
    ):
        raise _Invalid("it is no AdmissionReview")
    return Verdict(
        bool(allowed),
        status,
        _decoded(patch) if patch and mutating else b"",
        tuple(each for each in warnings if isinstance(each, str)),
        {
            key: value
            for key, value in list(annotations.items())[:_MOST_ANNOTATIONS]
            if isinstance(key, str) and isinstance(value, str)
        },
    )


def _decoded(patch: object) -> bytes:
    try:
        return base64.b64decode(patch if isinstance(patch, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise _Invalid("response.patch is not base64") from None


def _said(review: Obj) -> str:
    return str(GroupVersionKind.of(review))


def rejection(name: str, status: Obj) -> ApiError:
    """What a client is told whose request a webhook refused; always an error, whatever its status says."""
    by = f"admission webhook {quoted(name)} denied the request"
    code = status.get("code")
    reason, message = (str(status.get(field) or "") for field in ("reason", "message"))
    text = f"{by}: {message or reason}" if message or reason else f"{by} without explanation"
    error = ApiError(text, code=code if isinstance(code, int) and 400 <= code < 600 else 400, reason=reason)
    if not reason:
        error.status.pop("reason", None)
    if isinstance(details := status.get("details"), dict):
        error.status["details"] = details
    return error


def dry_run_unsupported(name: str) -> ApiError:
    """What is said of a webhook that has side effects always."""
    return BadRequest(f"admission webhook {quoted(name)} does not support dry run")


def _kind(kind: GroupVersionKind) -> Obj:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(resource: Resource) -> Obj:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}
