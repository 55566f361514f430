"""Pods: what one is, its defaults, what the server decides of a new one, its rules, its columns."""

from __future__ import annotations

from wellhead.api.kind import Kind
from wellhead.api.kinds.pod.columns import PRINTER
from wellhead.api.kinds.pod.resource import PODS
from wellhead.api.kinds.pod.strategy import PodStrategy

KIND: Kind = Kind(PODS, PodStrategy(), PRINTER)
