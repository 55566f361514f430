"""Where packets can be watched: the network namespaces of machines, and of the pods on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HELPER_LABEL, HELPER = "app.kubernetes.io/name", "wellhead-trace"
"""Which pods watch places for somebody elsewhere."""

_POD_NETWORK = re.compile(r"/pods/([0-9a-f-]{36})/ns/net$")


@dataclass(frozen=True)
class Place:
    """A network namespace with a name."""

    name: str
    path: str
    """What can be opened to join it."""
    pod: str = ""
    """The uid of the pod whose network it is; '' for a machine's."""
    node: str = ""
    """The machine on which a pod is."""


def of_machine(name: str, pid: int) -> list[Place]:
    """A machine by any process in it, and the pods whose network it holds."""
    places = [Place(name, f"/proc/{pid}/ns/net", node=name)]
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        mounted = line.split()[4]
        if match := _POD_NETWORK.search(mounted):
            # The bind mount is in the machine's mount namespace, to which its root leads.
            places.append(Place(f"pod {match[1]}", f"/proc/{pid}/root{mounted}", pod=match[1], node=name))
    return places
