"""The conntrack entries of connections by way of peers."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from pyroute2 import NFCTSocket

from wellhead.proxy.symmetric_return.marks import Marks


def are_left(marks: Marks, numbers: Iterable[int]) -> bool:
    """Whether there are conntrack entries that are marked with one of these numbers.

    Raises:
        pyroute2's NetlinkError, OSError.
    """
    with NFCTSocket(nfgen_family=socket.AF_UNSPEC) as conntrack:
        return any(
            True for each in numbers for _ in conntrack.dump(mark=marks.of(each), mark_mask=marks.index_mask)
        )


def forget(marks: Marks, numbers: Iterable[int]) -> None:
    """Delete the conntrack entries that are marked with peers' numbers, in either role and all zones.

    Raises:
        pyroute2's NetlinkError, OSError.
    """
    with NFCTSocket() as conntrack:
        for each in numbers:
            conntrack.flush(mark=marks.of(each), mark_mask=marks.index_mask)
