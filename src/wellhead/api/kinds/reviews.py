"""Reviews: questions that are answered and never stored, about tokens and about access."""

from __future__ import annotations

from wellhead.api.kind import Kind
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
        SUBJECTACCESSREVIEWS,
        SELFSUBJECTACCESSREVIEWS,
        SELFSUBJECTRULESREVIEWS,
    )
)
