"""Bindings: a pod gets its node. As pods/binding; created, never stored."""

from __future__ import annotations

from wellhead.api.kind import Kind
from wellhead.api.resource import Resource

BINDINGS = Resource("", "v1", "Binding", "bindings", verbs=("create",))

KIND = Kind(BINDINGS)
