"""How a run is spread over processes (pytest-xdist, as `make test` does it), and in which order.

What shares something expensive runs in one process: all tests of a shared cluster, and otherwise all tests of
a file. What takes longest begins first, so that processes end together; pure tests fill in where others wait.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_KINDS = ("cluster", "packets", "unit")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two a core: a test with packets waits most of its time, for processes that it has started."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _KINDS.index(_kind(item)))  # stable: within a kind as collected
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _kind(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).parts[0]


def _group(item: pytest.Item) -> str:
    """What must not be told apart: a shared cluster, by its proxy mode, or a file."""
    if _kind(item) == "cluster" and isinstance(item, pytest.Function) and "lab" in item.fixturenames:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return f"cluster-{parameters.get('lab_of_each_mode', 'iptables')}"
    return item.path.relative_to(_HERE).as_posix()
