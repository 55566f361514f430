"""What may be asked of a cluster in a program; said when it is asked, not by a component that can't start."""

from __future__ import annotations

from collections.abc import Collection

from wellhead.lab.addresses import IP_FAMILIES
from wellhead.lab.cluster import STORAGES
from wellhead.lab.startup import CONTROL_PLANES, PROXY_MODES, Wishes


def check(wishes: Wishes) -> None:
    """Raises ValueError: an option has a value that there isn't."""
    choices: dict[str, tuple[object, Collection[object]]] = {
        "proxy_mode": (wishes.proxy_mode, PROXY_MODES),
        "ip_family": (wishes.ip_family, IP_FAMILIES),
        "storage": (wishes.storage, STORAGES),
        "control_planes": (wishes.control_planes, CONTROL_PLANES),
    }
    for name, (value, known) in choices.items():
        if value is not None and value not in known:
            raise ValueError(f"{name}={value!r}: it can be {', '.join(map(repr, known))}")
    if wishes.nodes is not None and (not isinstance(wishes.nodes, int) or wishes.nodes < 1):
        raise ValueError(f"nodes={wishes.nodes!r}: it can be a number from 1")
