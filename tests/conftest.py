"""How a run is spread over processes (`pytest -n auto`, as in `make test`), and in which order.

What shares something expensive runs in one process: all tests of a shared cluster, and otherwise all tests of
a file. What takes longest begins first, so that processes end together; pure tests fill in where others wait.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.examples import ALL, examples

settings.register_profile(
    "any machine",
    deadline=None,  # how long an example takes says how busy the machine is
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=examples(100),
    derandomize=not ALL,
)
settings.load_profile("any machine")

_KINDS = ("cluster", "page", "packets", "hostile", "integration", "unit")
_WITH_CLUSTERS = tuple(
    f"tests/{each}/" for each in ("cluster", "packets/images", "packets/lab", "packets/node")
)
_CLUSTERS_OF_THEIR_OWN = tuple(
    f"tests/cluster/test_{name}.py" for name in ("control_planes", "ip_families", "pulling", "walk")
)
_SECOND = tuple(
    f"tests/cluster/test_{name}.py"
    for name in ("dns", "explain", "faults", "matrix", "nodes_under_load", "python")
)
"""On another cluster like the first, half of what one would take: longer than everything else, in a row."""
_NODES = tuple(
    tuple(f"tests/packets/node/test_{name}.py" for name in names)
    for names in (
        ("health", "hostile_pods", "loaded_images", "upkeep"),
        ("pod_streams", "pods", "restarts", "shared_and_confined"),
    )
)
"""On two clusters of one node."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: nobody has to look whether it is garbage, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        kind = item.nodeid.split("/", 2)[1]
        return _KINDS.index(kind) if kind in _KINDS else len(_KINDS) - 1

    for item in items:
        if item.nodeid.startswith(_WITH_CLUSTERS):
            item.add_marker(pytest.mark.cluster)
    items.sort(key=rank)  # stable: within a kind as they were collected


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three a core: a test with packets waits most of its time, for processes that it has started."""
    return 3 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # small files last, however long they take
    scheduler = LoadScopeScheduling(config, log)
    # Not by marks: xdist 3.8 notes them where pytest 9.2 looks no more, and tears files apart.
    scheduler._split_scope = _group
    return scheduler


def _group(nodeid: str) -> str:
    """What must stay in one process, by a test's id: a file, or the clusters that many files share."""
    file, _, test = nodeid.partition("::")
    if file.startswith("tests/page/"):
        return "the page, in one browser"
    if file.startswith("tests/cluster/") and file not in _CLUSTERS_OF_THEIR_OWN:
        mode = "nftables" if "nftables" in test else "iptables"
        return f"the {'second' if file in _SECOND else 'first'} shared cluster, {mode}"
    return next((f"the node of {files[0]}" for files in _NODES if file in files), file)
