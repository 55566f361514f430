"""The package pyroute2, imported when something of it is first used: that takes 9 MB and a tenth of a second.

A component that has its routes from elsewhere never needs it.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("pyroute2"), name)
