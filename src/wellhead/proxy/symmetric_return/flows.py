"""Connections by way of a peer that is gone."""

from __future__ import annotations

from collections.abc import Iterable

from pyroute2 import NFCTSocket

from wellhead.proxy.symmetric_return.marks import Marks


def forget(marks: Marks, numbers: Iterable[int]) -> None:
    """Delete the conntrack entries that are marked with peers' numbers, in either role and all zones.

    Raises:
        pyroute2's NetlinkError, OSError.
    """
    with NFCTSocket() as conntrack:
        for each in numbers:
            conntrack.flush(mark=marks.of(each), mark_mask=marks.index_mask)
