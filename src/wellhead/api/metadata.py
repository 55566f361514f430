"""metadata: what the server fills in, and the rules that hold for it on every kind.

The rules are apimachinery's `api/validation` (ValidateObjectMeta and ValidateObjectMetaUpdate).
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from wellhead.api.errors import BadRequest, Cause, Invalid, shown
from wellhead.api.formats import Check, dns_subdomain, is_plain_label, label_value, qualified_name
from wellhead.api.managed_fields.writers import manager_problems
from wellhead.api.meta import Obj, new_uid
from wellhead.api.resource import Resource

ANNOTATIONS_LIMIT = 256 * 1024  # bytes
# Upstream's alphabet: no vowels and nothing that looks like one, so that no words appear.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_GENERATED_BASE_LIMIT = 63 - _SUFFIX_LENGTH
_FIXED_BY_SERVER = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_OF_DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds")
_GC_FINALIZERS = ("foregroundDeletion", "orphan")
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_IMMUTABLE = "field is immutable"
_OF_LIBRARIES = frozenset({"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"})
"""Groups whose metadata upstream checks as custom ones: any finalizer will do."""
_ANY_FINALIZER = frozenset({"Event", "Lease", "PodDisruptionBudget"})
"""The same of single kinds."""


def generate_name(base: str) -> str:
    """`base` (shortened to fit a DNS label) with five random characters."""
    return base[:_GENERATED_BASE_LIMIT] + random_suffix()


def random_suffix() -> str:
    return "".join(random.choices(_SUFFIX_ALPHABET, k=_SUFFIX_LENGTH))


def prepare_create(resource: Resource, obj: Obj, namespace: str, now: str) -> None:
    """Fill in what the server alone decides: namespace, generated name, uid, creation time.

    Raises BadRequest if the object names another namespace than the request.
    """
    metadata: Obj = obj.setdefault("metadata", {})
    check_namespace(resource, metadata, namespace)
    if metadata.pop("resourceVersion", ""):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generate_name(metadata["generateName"])
    for field in (*_FIXED_BY_SERVER, "selfLink"):
        metadata.pop(field, None)
    _drop_empty_record(metadata)
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = now


def prepare_update(resource: Resource, new: Obj, old: Obj, namespace: str) -> None:
    """Keep what an update can't change when the client leaves it out. Raises BadRequest."""
    metadata: Obj = new.setdefault("metadata", {})
    check_namespace(resource, metadata, namespace)
    before = old["metadata"]
    metadata.pop("selfLink", None)
    _drop_empty_record(metadata)
    metadata.setdefault("name", before["name"])
    # Go's clients send what they have read; what others leave out counts as unchanged. When the object was
    # made is the server's to say; when it was deleted, too, once it was: before, nobody may say so.
    if not metadata.get("uid"):
        metadata["uid"] = before.get("uid")
    for field in ("creationTimestamp", "generation"):
        metadata.pop(field, None)
        if field in before:
            metadata[field] = before[field]
    for field in _OF_DELETION:
        if field in before:
            metadata[field] = before[field]


def _drop_empty_record(metadata: Obj) -> None:
    """A record of managers without any is none."""
    if metadata.get("managedFields") == []:
        del metadata["managedFields"]


def check_namespace(resource: Resource, metadata: Obj, namespace: str) -> None:
    """Fill in the request's namespace; none on cluster-scoped kinds. Raises BadRequest for another one."""
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    if not metadata.get("namespace"):
        metadata["namespace"] = namespace
    if metadata["namespace"] != namespace:
        raise BadRequest(_OTHER_NAMESPACE)


def check_sent_namespace(obj: Obj, namespace: str) -> None:
    """Of what isn't stored itself. Raises BadRequest if it names another namespace than the request."""
    if (obj.get("metadata") or {}).get("namespace", namespace) not in ("", namespace):
        raise BadRequest(_OTHER_NAMESPACE)


def validate(resource: Resource, obj: Obj, name_check: Check = dns_subdomain) -> list[Cause]:
    """What is wrong with the metadata of an object, new or old."""
    metadata: Obj = obj["metadata"]
    causes: list[Cause] = []
    name = metadata.get("name") or ""
    if generate := metadata.get("generateName"):
        # The generated suffix may complete what alone would not be a name.
        causes += [
            Cause.invalid("metadata.generateName", generate, problem)
            for problem in name_check(generate[:-2] + "a" if generate[1:].endswith("-") else generate)
        ]
    if not name:
        causes.append(Cause.required("metadata.name", "name or generateName is required"))
    else:
        causes += [Cause.invalid("metadata.name", name, problem) for problem in name_check(name)]
    if resource.namespaced and not metadata.get("namespace"):
        causes.append(Cause.required("metadata.namespace"))
    if (generation := metadata.get("generation") or 0) < 0:
        causes.append(Cause.invalid("metadata.generation", generation, "must be greater than or equal to 0"))
    causes += validate_labels(metadata.get("labels"), "metadata.labels")
    causes += validate_annotations(metadata.get("annotations"), "metadata.annotations")
    causes += _validate_owners(metadata.get("ownerReferences") or ())
    causes += _validate_finalizers(metadata.get("finalizers") or ())
    if (
        resource.custom is None
        and resource.group not in _OF_LIBRARIES
        and resource.kind not in _ANY_FINALIZER
    ):
        for index, finalizer in enumerate(metadata.get("finalizers") or ()):
            causes += _no_standard(finalizer, f"metadata.finalizers[{index}]")
    for index, entry in enumerate(metadata.get("managedFields") or ()):
        causes += manager_problems(entry.get("manager") or "", f"metadata.managedFields[{index}].manager")
    return causes


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    """What an update must not change."""
    after, before = new["metadata"], old["metadata"]
    causes = [
        Cause.invalid(f"metadata.{field}", after.get(field) or "", _IMMUTABLE)
        for field in ("name", "namespace", "uid", "creationTimestamp", *_OF_DELETION)
        if (after.get(field) or "") != (before.get(field) or "")
    ]
    if before.get("deletionTimestamp"):
        added = sorted(set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            causes.append(
                Cause.forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{', '.join(map(shown, added))}}}",
                )
            )
    return causes


def validate_labels(labels: Obj | None, path: str) -> list[Cause]:
    """Keys and values of a map of labels at `path`."""
    causes: list[Cause] = []
    for name, value in (labels or {}).items():
        if is_plain_label(name, value):
            continue
        causes += [Cause.invalid(path, name, problem) for problem in qualified_name(name)]
        causes += [Cause.invalid(path, value, problem) for problem in label_value(value)]
    return causes


def validate_annotations(annotations: Obj | None, path: str) -> list[Cause]:
    """Keys of a map of annotations at `path`, and its size."""
    causes = [
        Cause.invalid(path, name, problem)
        for name in annotations or {}
        if not is_plain_label(name, "")
        for problem in qualified_name(name.lower())
    ]
    size = sum(len(name.encode()) + len(value.encode()) for name, value in (annotations or {}).items())
    if size > ANNOTATIONS_LIMIT:
        causes.append(Cause.too_long(path, ANNOTATIONS_LIMIT))
    return causes


def validate_label_selector(selector: Obj | None, path: str) -> list[Cause]:
    """A metav1.LabelSelector at `path`."""
    causes = validate_labels((selector or {}).get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate((selector or {}).get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        key, operator, values = (expression.get(name) for name in ("key", "operator", "values"))
        if operator in ("In", "NotIn"):
            if not values:
                causes.append(
                    Cause.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
                )
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                causes.append(
                    Cause.forbidden(
                        f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    )
                )
        else:
            causes.append(Cause.invalid(f"{at}.operator", operator or "", "not a valid selector operator"))
        causes += [Cause.invalid(f"{at}.key", key or "", problem) for problem in qualified_name(key or "")]
        causes += [
            Cause.invalid(f"{at}.values[{number}]", value, problem)
            for number, value in enumerate(values or ())
            for problem in label_value(value)
        ]
    return causes


def refuse(resource: Resource, obj: Obj, causes: Iterable[Cause]) -> None:
    """Raises Invalid if there is any cause."""
    found = list(causes)
    if found:
        raise Invalid.for_object(resource, obj, found)


def _validate_owners(owners: Iterable[Obj]) -> list[Cause]:
    causes: list[Cause] = []
    controllers: list[str] = []
    at = "metadata.ownerReferences"
    for owner in owners:
        version = owner.get("apiVersion") or ""
        if version.count("/") > 1 or not version.rpartition("/")[2]:
            causes.append(Cause.invalid(f"{at}.apiVersion", version, "version must not be empty"))
        causes += [
            Cause.invalid(f"{at}.{field}", "", "must not be empty")
            for field in ("kind", "name", "uid")
            if not owner.get(field)
        ]
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            causes.append(Cause.invalid(at, owner, "/v1, Kind=Event is disallowed from being an owner"))
    if len(controllers) > 1:
        causes.append(
            Cause.invalid(
                "metadata.ownerReferences",
                controllers,
                'Only one reference can have Controller set to true. Found "true" in references for '
                f"{controllers[0]} and {controllers[1]}",
            )
        )
    return causes


def validate_finalizers(names: Iterable[str], path: str, *, indexed: bool = True) -> list[Cause]:
    """The names of finalizers in the list at `path`."""
    causes: list[Cause] = []
    for index, name in enumerate(names):
        at = f"{path}[{index}]" if indexed else path
        causes += [Cause.invalid(at, name, problem) for problem in qualified_name(name)]
        causes += _no_standard(name, at)
    return causes


def _no_standard(name: str, path: str) -> list[Cause]:
    """What speaks against a finalizer without a domain."""
    if "/" in name or name in (*_GC_FINALIZERS, "kubernetes"):
        return []
    return [Cause.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")]


def _validate_finalizers(finalizers: Iterable[str]) -> list[Cause]:
    names = list(finalizers)
    causes = [
        Cause.invalid("metadata.finalizers", name, problem)
        for name in names
        for problem in qualified_name(name)
    ]
    if all(name in names for name in _GC_FINALIZERS):
        causes.append(
            Cause.invalid(
                "metadata.finalizers",
                names,
                "finalizer orphan and foregroundDeletion cannot be both set",
            )
        )
    return causes
