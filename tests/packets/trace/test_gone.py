"""Pods come and go while a request is watched that has nothing to do with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packets.proxy.world import Host
from wellhead.trace.observer import CannotWatch
from wellhead.trace.places import Place
from wellhead.trace.token import Tokens
from wellhead.trace.watcher import Here, Watching

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("pod", ["a pod's uid", ""])
def test_a_pod_that_ends_meanwhile_counts_nothing(tmp_path: Path, pod: str) -> None:
    host = Host()
    path = tmp_path / "net"
    path.symlink_to(host.path)
    try:
        here = Here([Place("there", str(path), pod=pod)], Watching(tokens=Tokens(), tunnel_ports=frozenset()))
        try:
            path.unlink()
            if pod:
                assert here.counted() == []
            else:
                with pytest.raises(CannotWatch, match="there: No such file"):
                    here.counted()
        finally:
            here.close()
    finally:
        host.close()
