"""JSON merge patch, RFC 7386."""

from __future__ import annotations

from typing import Any

from wellhead.api.errors import BadRequest
from wellhead.api.meta import Obj
from wellhead.api.schema import json_kind


def apply_merge_patch(obj: Obj, patch: object) -> Obj:
    """`obj` with the patch's fields: null removes, maps merge, all else replaces.

    Raises BadRequest if the patch isn't a JSON object.
    """
    if not isinstance(patch, dict):
        if patch is None:
            raise BadRequest("Invalid JSON Patch")
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {json_kind(patch)}"
            " into Go value of type map[string]interface {}"
        )
    merged: Obj = _merge(obj, patch)
    return merged


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
