"""Reverse-path checks on the interfaces that peers' packets come by: made to heed packets' marks.

Loose checks, too: they fail where there is no route to the client at all, and on an interface without an IPv4
address, as the tunnel's, if the route is by another one (fib_frontend.c: __fib_validate_source, no_addr).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from wellhead.linux import sysctls
from wellhead.linux.facts import Key

log = logging.getLogger(__name__)

_CONF = sysctls.path("net/ipv4/conf")


def settings(devices: Iterable[str]) -> list[Key]:
    """Those that decide whether packets pass: whoever changes one may have undone `heed_marks`."""
    names = ("rp_filter", "src_valid_mark")
    return [sysctls.key(f"net/ipv4/conf/{each}/{name}") for each in ("all", *devices) for name in names]


def heed_marks(devices: Iterable[str]) -> frozenset[str]:
    """Set src_valid_mark where there is a check. Returns the interfaces where it was not set before.

    Raises:
        OSError: there is a check, and this may not change settings.
    """
    changed = set()
    everywhere = _number("all", "src_valid_mark")
    for device in devices:
        checks = max(_number("all", "rp_filter"), _number(device, "rp_filter"))
        if checks and not everywhere and not _number(device, "src_valid_mark"):
            (_CONF / device / "src_valid_mark").write_text("1")
            log.info("net.ipv4.conf.%s.src_valid_mark: 1, since rp_filter is %d", device, checks)
            changed.add(device)
    return frozenset(changed)


def heed_marks_everywhere() -> None:
    """Set src_valid_mark for all interfaces, if there are checks: a later process may not be able."""
    file = _CONF / "all" / "src_valid_mark"
    checks = max(_number(each.name, "rp_filter") for each in _CONF.iterdir())
    if not checks or _number("all", "src_valid_mark"):
        return
    try:
        file.write_text("1")
    except OSError as error:
        log.warning("net.ipv4.conf.all.src_valid_mark can't be set: %s", error.strerror)
    else:
        log.info("net.ipv4.conf.all.src_valid_mark: 1, since rp_filter is %d", checks)


def disregard_marks(devices: Iterable[str]) -> None:
    """Set it back, on interfaces that are still there."""
    for device in devices:
        file = _CONF / device / "src_valid_mark"
        if file.exists():
            file.write_text("0")


def _number(device: str, setting: str) -> int:
    return sysctls.number(f"net/ipv4/conf/{device}/{setting}") or 0
