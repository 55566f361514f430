"""How much hypothesis makes up for the costliest laws: a part in `make test`, all in `make test-fidelity`."""

from __future__ import annotations

import os

_ALL = os.environ.get("WELLHEAD_EXAMPLES") == "all"
_PART = 3


def examples(wanted: int) -> int:
    """So many, or a part of them: they are others in each run."""
    return wanted if _ALL else wanted // _PART
