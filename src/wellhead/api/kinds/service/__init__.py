"""Services: families, defaults, rules, columns, and which addresses and ports one is given."""

from __future__ import annotations

from wellhead.api.kind import Kind
from wellhead.api.kinds.service.columns import PRINTER
from wellhead.api.kinds.service.strategy import ServiceStrategy
from wellhead.api.well_known import SERVICES

KIND: Kind = Kind(SERVICES, ServiceStrategy(), PRINTER)
