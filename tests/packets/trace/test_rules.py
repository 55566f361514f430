"""A rule's words are those that it has now, however often somebody asks."""

from __future__ import annotations

import pytest

from tests.packets.proxy.world import Host
from wellhead.trace.places import Place
from wellhead.trace.token import Tokens
from wellhead.trace.watcher import Here, Watching

pytestmark = pytest.mark.cluster

_IPV4 = 2


def test_what_changed_is_listed_again() -> None:
    host = Host()
    try:
        host.run("nft -f -", "add table ip t\nadd chain ip t c\nadd rule ip t c counter")
        here = Here([Place("there", host.path)], Watching(tokens=Tokens(), tunnel_ports=frozenset()))

        def said(handle: int) -> str:
            key = (_IPV4, "t", "c", handle)
            return here.rules("there", [key])[key].text

        try:
            assert [said(2), said(3)] == ["counter packets 0 bytes 0", ""]
            host.run("nft -f -", "add rule ip t c drop")
            assert [said(2), said(3)] == ["counter packets 0 bytes 0", "drop"]
        finally:
            here.close()
    finally:
        host.close()
