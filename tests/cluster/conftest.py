"""The shared three-node cluster, and a namespace for each test module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Protocol

import pytest

from tests.cluster.lab import Lab, kept_up

_MODES = ("iptables", "nftables")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One proxy mode after the other: as pytest sorts, a mode's pods would be made several times.
    first = {item.path: position for position, item in reversed(list(enumerate(items)))}
    items.sort(key=lambda item: (first[item.path], _mode(item)))


def _mode(item: pytest.Item) -> int:
    parameters = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    return _MODES.index(parameters.get("lab_of_each_mode", _MODES[0]))


@contextmanager
def running(lab: Lab, *options: str) -> Iterator[Lab]:
    """The cluster that `lab` names, of three nodes unless the `options` of `up` say otherwise, meanwhile."""
    with kept_up(lab, "--nodes", "3", "--proxy-mode", lab.proxy_mode, *options):
        yield lab


class Labs(Protocol):
    """The shared cluster of a proxy mode, from when it is first needed."""

    def __call__(self, proxy_mode: str) -> Lab: ...


@pytest.fixture(scope="session")
def labs() -> Iterator[Labs]:
    """Three-node clusters of this process's own, shared by all modules."""
    with ExitStack() as stack:

        @cache
        def start(proxy_mode: str) -> Lab:
            return stack.enter_context(running(Lab(f"test-{os.getpid()}-{proxy_mode}", proxy_mode)))

        yield start


@pytest.fixture(scope="session")
def lab(labs: Labs) -> Lab:
    """The shared cluster, in the proxy mode that is the default."""
    return labs("iptables")


@pytest.fixture(scope="module", params=_MODES)
def lab_of_each_mode(request: pytest.FixtureRequest, labs: Labs) -> Lab:
    """The shared cluster, and then the one with the other proxy mode."""
    return labs(request.param)


@pytest.fixture(scope="module")
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this module's own; deleted with all its contents."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    lab.kubectl("create", "namespace", name)
    lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
    yield name
    lab.kubectl("delete", "namespace", name)
