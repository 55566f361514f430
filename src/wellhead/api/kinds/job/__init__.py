"""Jobs: their rules, what their status may become, their columns, and sets of completion indexes."""

from __future__ import annotations

from wellhead.api.kind import Kind
from wellhead.api.kinds.job.columns import PRINTER
from wellhead.api.kinds.job.resource import JOBS
from wellhead.api.kinds.job.strategy import JobStrategy

KIND = Kind(JOBS, JobStrategy(), PRINTER)
