"""Versions of an API, in the order in which Kubernetes prefers them (apimachinery's pkg/version)."""

from __future__ import annotations

import re

_MATURITY = re.compile(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?")


def version_place(version: str) -> tuple[int, int, int, str]:
    """Where a version stands among others: v2, v1, v1beta2, v1beta1, v1alpha1, then all else by name."""
    match = _MATURITY.fullmatch(version)
    if match is None:
        return 3, 0, 0, version
    maturity = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return maturity, -int(match[1]), -int(match[3] or 0), ""
