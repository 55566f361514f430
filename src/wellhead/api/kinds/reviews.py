"""Reviews: questions that are answered and never stored, about tokens and about access."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource

TOKENREVIEWS = Resource(
    "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False, verbs=("create",)
)
SELFSUBJECTREVIEWS = Resource(
    "authentication.k8s.io",
    "v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
)
SUBJECTACCESSREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
)
LOCALSUBJECTACCESSREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "LocalSubjectAccessReview",
    "localsubjectaccessreviews",
    verbs=("create",),
)
SELFSUBJECTACCESSREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
)
SELFSUBJECTRULESREVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
)

KINDS = tuple(
    Kind(resource)
    for resource in (
        TOKENREVIEWS,
        SELFSUBJECTREVIEWS,
        LOCALSUBJECTACCESSREVIEWS,
        SUBJECTACCESSREVIEWS,
        SELFSUBJECTACCESSREVIEWS,
        SELFSUBJECTRULESREVIEWS,
    )
)


def validate(resource: Resource, spec: Obj, metadata: Obj) -> list[Cause]:
    """What is wrong with a question about access (upstream: pkg/apis/authorization/validation)."""
    causes: list[Cause] = []
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if asked is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        causes.append(Cause.invalid("spec.nonResourceAttributes", path, text))
    if asked is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(Cause.invalid("spec.resourceAttributes", None, text))
    if resource != SELFSUBJECTACCESSREVIEWS and not (spec.get("user") or spec.get("groups")):
        causes.append(Cause.invalid("spec.user", "", "at least one of user or group must be specified"))
    for name in ("fieldSelector", "labelSelector"):
        causes += _of_selector((asked or {}).get(name), f"spec.resourceAttributes.{name}")
    ignored = {"managedFields", "namespace"} if resource.namespaced else {"managedFields"}
    if any(value for field, value in metadata.items() if field not in ignored):
        text = "must be empty except for namespace" if resource.namespaced else "must be empty"
        causes.append(Cause.invalid("metadata", metadata, text))
    if resource == LOCALSUBJECTACCESSREVIEWS:
        namespace = (asked or {}).get("namespace") or ""
        if asked is not None and namespace != metadata.get("namespace"):
            text = "must match metadata.namespace"
            causes.append(Cause.invalid("spec.resourceAttributes.namespace", namespace, text))
        if path is not None:
            text = "disallowed on this kind of request"
            causes.append(Cause.invalid("spec.nonResourceAttributes", path, text))
    return causes


def _of_selector(selector: Obj | None, at: str) -> list[Cause]:
    if selector is None:
        return []
    raw, requirements = selector.get("rawSelector"), selector.get("requirements") or ()
    causes = []
    if raw and requirements:
        text = "may not specified at the same time as requirements"
        causes.append(Cause.invalid(f"{at}.rawSelector", raw, text))
    if not raw and not requirements:
        text = f"when {at} is specified, requirements or rawSelector is required"
        causes.append(Cause.required(f"{at}.requirements", text))
    for index, each in enumerate(requirements):
        here = f"{at}.requirements[{index}]"
        key = each.get("key") or ""
        if at.endswith("labelSelector"):
            causes += [Cause.invalid(f"{here}.key", key, problem) for problem in qualified_name(key)]
        elif not key:
            causes.append(Cause.required(f"{here}.key"))
        values, operator = each.get("values"), each.get("operator")
        if operator in ("In", "NotIn") and not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            causes.append(Cause.required(f"{here}.values", text))
        elif operator in ("Exists", "DoesNotExist") and values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(Cause.forbidden(f"{here}.values", text))
    return causes
