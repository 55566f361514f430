"""What a definition's spec may say, apart from its schemas (apiextensions' validation.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from wellhead.api import meta
from wellhead.api.causes import repeated
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_1035_label, dns_subdomain
from wellhead.api.kinds.customresourcedefinition.schema import (
    field_path_problem,
    schema_of_path,
    schema_problems,
)
from wellhead.api.kinds.webhooks import validate_client
from wellhead.api.meta import Obj

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_MOST_SELECTABLE = 8
_LONGEST_WARNING = 256
_APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = re.compile(r"(?:.*\.)?(?:k8s|kubernetes)\.io")


def spec_problems(spec: Obj) -> Iterator[Cause]:
    at = "spec"
    group = spec.get("group") or ""
    if not group:
        yield Cause.required(f"{at}.group")
    elif problems := dns_subdomain(group):
        yield Cause.invalid(f"{at}.group", group, ",".join(problems))
    elif "." not in group:
        yield Cause.invalid(f"{at}.group", group, "should be a domain with at least one dot")
    yield from _one_of(spec.get("scope") or "", ("Cluster", "Namespaced"), f"{at}.scope")
    if spec.get("preserveUnknownFields"):
        yield Cause.invalid(
            f"{at}.preserveUnknownFields",
            True,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead",
        )
    yield from _versions(spec, at)
    names = spec.get("names") or {}
    for part in ("plural", "singular", "kind", "listKind"):
        if not names.get(part):
            yield Cause.required(f"{at}.names.{part}")
    yield from name_problems(names, f"{at}.names")
    yield from _conversion(spec.get("conversion") or {}, f"{at}.conversion")


def _one_of(value: str, choices: tuple[str, ...], at: str) -> Iterator[Cause]:
    if not value:
        yield Cause.required(at)
    elif value not in choices:
        yield Cause.not_supported(at, value, choices)


def _versions(spec: Obj, at: str) -> Iterator[Cause]:
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        here = f"{at}.versions[{index}]"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield Cause.required(f"{here}.schema.openAPIV3Schema")
        name = version.get("name") or ""
        if problems := dns_1035_label(name):
            yield Cause.invalid(f"{here}.name", name, ",".join(problems))
        yield from _warning(version, here)
        subresources = version.get("subresources") or {}
        if schema is not None:
            yield from schema_problems(
                schema, f"{here}.schema.openAPIV3Schema", has_status="status" in subresources
            )
        yield from _scale(subresources.get("scale"), f"{here}.subresources.scale")
        for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _column(column, f"{here}.additionalPrinterColumns[{number}]")
        yield from _selectable(version.get("selectableFields") or [], schema, f"{here}.selectableFields")
    if len({version.get("name") for version in versions}) != len(versions):
        yield Cause.invalid(f"{at}.versions", _names(versions), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield Cause.invalid(
            f"{at}.versions", _names(versions), "must have exactly one version marked as storage version"
        )


def _names(versions: list[Obj]) -> list[str]:
    """Of the whole list, the names are enough to know it by."""
    return [version.get("name") or "" for version in versions]


def _warning(version: Obj, at: str) -> Iterator[Cause]:
    text = version.get("deprecationWarning")
    if text is None:
        return
    problems = []
    if not version.get("deprecated"):
        problems.append("can only be set for deprecated versions")
    else:
        if len(text.encode()) > _LONGEST_WARNING:
            problems.append(f"must be <= {_LONGEST_WARNING} characters long")
        if not text:
            problems.append("must not be an empty string")
        hidden = next((index for index, char in enumerate(text) if not char.isprintable()), None)
        if hidden is not None:
            problems.append(
                "must only contain printable UTF-8 characters; non-printable character found at index "
                f"{len(text[:hidden].encode())}"
            )
    for problem in problems:
        yield Cause.invalid(f"{at}.deprecationWarning", text, problem)


def _simple_path(path: str, at: str) -> Iterator[Cause]:
    if not path.startswith("."):
        yield Cause.invalid(at, path, "must be a simple json path starting with .")


def _scale(scale: Obj | None, at: str) -> Iterator[Cause]:
    if scale is None:
        return
    for part in ("spec", "status"):
        path, where = scale.get(f"{part}ReplicasPath") or "", f"{at}.{part}ReplicasPath"
        if not path:
            yield Cause.required(where)
        elif problems := list(_simple_path(path, where)):
            yield from problems
        elif not path.startswith(f".{part}."):
            yield Cause.invalid(where, path, f"should be a json path under .{part}")
    if path := scale.get("labelSelectorPath"):
        where = f"{at}.labelSelectorPath"
        if problems := list(_simple_path(path, where)):
            yield from problems
        elif not path.startswith((".spec.", ".status.")):
            yield Cause.invalid(where, path, "should be a json path under either .spec or .status")


def _column(column: Obj, at: str) -> Iterator[Cause]:
    if not column.get("name"):
        yield Cause.required(f"{at}.name")
    types = ",".join(_COLUMN_TYPES)
    if not column.get("type"):
        yield Cause.required(f"{at}.type", f"must be one of {types}")
    elif column["type"] not in _COLUMN_TYPES:
        yield Cause.invalid(f"{at}.type", column["type"], f"must be one of {types}")
    if (form := column.get("format")) and form not in _COLUMN_FORMATS:
        yield Cause.invalid(f"{at}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}")
    if not column.get("jsonPath"):
        yield Cause.required(f"{at}.JSONPath")
    else:
        yield from _simple_path(column["jsonPath"], f"{at}.JSONPath")


def _selectable(fields: list[Obj], schema: Obj | None, at: str) -> Iterator[Cause]:
    if not fields or schema is None:
        return
    seen: set[str] = set()
    for index, each in enumerate(fields):
        path, here = each.get("jsonPath") or "", f"{at}[{index}].jsonPath"
        if not path:
            yield Cause.required(here)
            continue
        if problem := field_path_problem(path, schema, brackets=False):
            yield Cause.invalid(here, path, f"is an invalid path: {problem}")
            continue
        if path.removeprefix(".").split(".")[0] == "metadata":
            yield Cause.invalid(here, path, "must not point to fields in metadata")
        if schema_of_path(path, schema).get("type") not in ("string", "boolean", "integer"):
            yield Cause.invalid(
                here,
                path,
                "must point to a field of type string, boolean or integer. Enum string fields and strings "
                "with formats are allowed.",
            )
        if path in seen:
            yield Cause.duplicate(here, path)
        seen.add(path)
    if len(seen) > _MOST_SELECTABLE:
        yield Cause.too_many(at, len(seen), _MOST_SELECTABLE)


def name_problems(names: Obj, at: str) -> Iterator[Cause]:
    """Of the spec's names, or of those that were accepted."""
    for part in ("plural", "singular"):
        if (name := names.get(part)) and (problems := dns_1035_label(name)):
            yield Cause.invalid(f"{at}.{part}", name, ",".join(problems))
    for part in ("kind", "listKind"):
        if (name := names.get(part)) and (problems := dns_1035_label(name.lower())):
            why = "may have mixed case, but should otherwise match: " + ",".join(problems)
            yield Cause.invalid(f"{at}.{part}", name, why)
    for index, name in enumerate(names.get("shortNames") or ()):
        if problems := dns_1035_label(name):
            yield Cause.invalid(f"{at}.shortNames[{index}]", name, ",".join(problems))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield Cause.invalid(f"{at}.listKind", names["listKind"], "kind and listKind may not be the same")
    for index, name in enumerate(names.get("categories") or ()):
        if problems := dns_1035_label(name):
            yield Cause.invalid(f"{at}.categories[{index}]", name, ",".join(problems))


def _conversion(conversion: Obj, at: str) -> Iterator[Cause]:
    strategy = conversion.get("strategy") or ""
    yield from _one_of(strategy, ("None", "Webhook"), f"{at}.strategy")
    webhook = conversion.get("webhook") or {}
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        if config is not None:
            yield Cause.forbidden(f"{at}.webhookClientConfig", why)
        if versions:
            yield Cause.forbidden(f"{at}.conversionReviewVersions", why)
        return
    where = f"{at}.webhookClientConfig"
    if config is None:
        yield Cause.required(where, "required when strategy is set to Webhook")
    else:
        yield from validate_client(config, where)
    yield from _review_versions(versions, f"{at}.conversionReviewVersions")


def _review_versions(versions: list[str], at: str) -> Iterator[Cause]:
    if not versions:
        yield Cause.required(at)
        return
    for index, (version, again) in enumerate(zip(versions, repeated(versions), strict=True)):
        if again:
            yield Cause.invalid(f"{at}[{index}]", version, "duplicate version")
            continue
        yield from (Cause.invalid(f"{at}[{index}]", version, problem) for problem in dns_1035_label(version))
    if not set(versions) & set(_REVIEW_VERSIONS):
        yield Cause.invalid(at, versions, f"must include at least one of {', '.join(_REVIEW_VERSIONS)}")


def stored_version_problems(crd: Obj) -> Iterator[Cause]:
    at = "status.storedVersions"
    stored = (crd.get("status") or {}).get("storedVersions") or []
    if not stored:
        yield Cause.invalid(at, stored, "must have at least one stored version")
        return
    versions = crd["spec"].get("versions") or ()
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            yield Cause.invalid(at, stored, f"must have the storage version {version.get('name') or ''}")
    names = {version.get("name") for version in versions}
    for index, name in enumerate(stored):
        if name not in names:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and "
                f"removes {name} from status.storedVersions"
            )
            yield Cause.invalid(f"{at}[{index}]", name, why)


def approval_problems(crd: Obj) -> Iterator[Cause]:
    """Groups that belong to Kubernetes are for what its reviewers have seen (KEP-1111)."""
    if not _PROTECTED.fullmatch(crd["spec"].get("group") or ""):
        return
    value = meta.annotations(crd).get(_APPROVAL)
    at = f"metadata.annotations[{_APPROVAL}]"
    must = f'protected groups must have approval annotation "{_APPROVAL}"'
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    if not value:
        yield Cause.required(at, f"{must}, {see}")
    elif not value.startswith("unapproved") and not urlsplit(value).scheme:
        why = f'{must} with either a URL or a reason starting with "unapproved", {see}'
        yield Cause.invalid(at, value, why)
