"""Query parameters, as apimachinery converts them: one reader for the API server and the nodes' agents."""

from __future__ import annotations

from collections.abc import Mapping


def is_true(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter: true unless it is missing, `false` (in any case) or `0`; `True`, `yes` and '' are.

    Upstream: Convert_Slice_string_To_bool in apimachinery's pkg/runtime/conversion.go.
    """
    return name in query and query[name].lower() not in ("false", "0")
