"""Where upstream sees what all versions of a definition share: it keeps that once, at the top of the spec.

Upstream: the conversion from v1 in pkg/apis/apiextensions/v1/conversion.go; the fields of causes tell of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from wellhead.api.errors import Cause
from wellhead.api.meta import Obj

_SHARED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}
_PLACE = re.compile(r"spec\.versions\[(\d+)\]\.(\w+)(.*)", re.DOTALL)


def hoisted(spec: Obj, causes: Iterable[Cause]) -> Iterator[Cause]:
    """The causes, each where upstream finds it; what is wrong with all versions is told once."""
    versions = spec.get("versions") or []
    shared = {
        field
        for field in _SHARED
        if versions and all((each or {}).get(field) == (versions[0] or {}).get(field) for each in versions)
    }
    for cause in causes:
        place = _PLACE.fullmatch(cause.field)
        if place is None or place[2] not in shared or _is_missing(cause):
            yield cause
        elif place[1] == "0":
            there, here = f"spec.versions[0].{place[2]}", f"spec.{_SHARED[place[2]]}"
            text = cause.message.replace(f"{cause.field} in body", " in body").replace(there, here)
            yield replace(cause, field=here + place[3], message=text)


def _is_missing(cause: Cause) -> bool:
    """Of a schema that isn't there: each version is asked for its own before they are compared."""
    return cause.reason == "FieldValueRequired" and cause.field.endswith(".schema.openAPIV3Schema")
