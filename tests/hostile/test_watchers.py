"""Clients that open watches and never read cost next to nothing, and are cut off."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from tests.hostile.corpus import CONFIGMAPS
from tests.hostile.server import Connection, Server, request, serve

_WATCHERS = 50
_CHANGES = 40
_BYTES = 900_000  # of each change
_MOST_GROWTH = 80 * 1024 * 1024


def test_watchers_that_never_read_share_what_is_kept_for_them(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:{tmp_path}/db") as server, contextlib.ExitStack() as stack:
        with server.connection() as writer:
            writer.ask(request("POST", CONFIGMAPS, {"metadata": {"name": "a"}}))
            _change(writer, 0)
            for _ in range(_WATCHERS):
                silent = stack.enter_context(server.connection())
                silent.limit_receiving(4096)
                silent.send(request("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=0"))
            _wait_for(server, _WATCHERS)
            resident = server.resident
            server.forget_peak()
            for number in range(1, _CHANGES):
                _change(writer, number)
        growth = server.peak - resident
        cut_off = _number(server, r'apiserver_terminated_watchers_total\{resource="configmaps"\} (\d+)')
    assert cut_off == _WATCHERS
    assert growth < _MOST_GROWTH, f"{growth / 1e6:.0f} MB"


def _change(writer: Connection, number: int) -> None:
    text = f"{number}" + "x" * _BYTES
    code, body = writer.ask(
        request("PATCH", f"{CONFIGMAPS}/a", {"data": {"a": text}}, "application/merge-patch+json")
    )
    assert code == 200, body[:500]


def _wait_for(server: Server, watchers: int) -> None:
    for _ in range(500):
        if _number(server, r'longrunning_requests\{resource="configmaps",verb="WATCH"\} (\d+)') == watchers:
            return
    raise AssertionError("the watches are not open")


def _number(server: Server, pattern: str) -> int:
    with server.connection() as connection:
        _, text = connection.ask(request("GET", "/metrics"))
    match = re.search(pattern, text.decode())
    return int(match[1]) if match else 0
