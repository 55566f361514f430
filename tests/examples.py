"""How much hypothesis makes up: a part, and the same each time, in `make test`; all, and others each time, in
`make test-fidelity`.

So `make test` says the same of the same tree, whoever runs it and how often; the other one looks for news.
"""

from __future__ import annotations

import os

ALL = os.environ.get("WELLHEAD_EXAMPLES") == "all"
_PART = 3


def examples(wanted: int) -> int:
    """So many, or a part of them."""
    return wanted if ALL else wanted // _PART
