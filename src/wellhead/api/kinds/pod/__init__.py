"""Pods: what one is, its defaults, what the server decides of a new one, its rules, its columns."""

from __future__ import annotations

from wellhead.api.kind import Kind
from wellhead.api.kinds.pod.columns import PRINTER
from wellhead.api.kinds.pod.strategy import PodStrategy
from wellhead.api.well_known import PODS

KIND: Kind = Kind(PODS, PodStrategy(), PRINTER)
