"""The pytest plugin: fixtures for tests that need a cluster (docs/pytest.md).

pytest loads it wherever wellhead is installed: nothing of a cluster is imported before a test asks for one.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from wellhead.clusters.cluster import Cluster
    from wellhead.clusters.namespace import Namespace

_OPTIONS = {
    "nodes": "how many nodes the tests' cluster has (default: 3)",
    "proxy-mode": "its service proxy's mode: iptables (default) or nftables",
    "ip-family": "its addresses: dual (default, where the kernel has IPv6), ipv4 or ipv6",
    "cluster": "the name of a cluster that is there: tests use it as it is, and leave it there",
}
_NAME = pytest.StashKey[str]()
_WILL = pytest.StashKey[Any]()
_LINES = 30  # of a container's log that a report shows
_PODS = 10  # whose logs a report shows


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, and values of the same names in an ini file."""
    group = parser.getgroup("wellhead", "clusters of wellhead")
    for name, text in _OPTIONS.items():
        group.addoption(f"--wellhead-{name}", metavar=name.upper(), help=text)
        parser.addini(f"wellhead_{name.replace('-', '_')}", text, default="")
    group.addoption("--wellhead-keep", action="store_true", help="leave the tests' cluster there at the end")
    parser.addini(
        "wellhead_images", "archives of images that the cluster's pods need", type="paths", default=[]
    )


def pytest_configure(config: pytest.Config) -> None:
    """With xdist: one name for all processes, and one that sees to the cluster's end."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[_NAME] = worker["wellhead_cluster"]
        return
    config.stash[_NAME] = f"pytest-{os.getpid()}-{secrets.token_hex(2)}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of xdist the name."""
    node.workerinput["wellhead_cluster"] = node.config.stash[_NAME]
    if node.config.stash.get(_WILL, None) is None and not _is_kept(node.config):
        from wellhead.clusters.will import Will

        node.config.stash[_WILL] = Will(node.config.stash[_NAME])


def pytest_unconfigure(config: pytest.Config) -> None:
    """With xdist: remove the cluster that its processes shared."""
    will = config.stash.get(_WILL, None)
    if will is None:
        return
    from wellhead.lab import cluster, teardown

    shared = cluster.Cluster(config.stash[_NAME])
    if shared.directory.exists():
        teardown.remove(shared)
    will.revoke()
    _lock_of(shared.name).unlink(missing_ok=True)


def _lock_of(name: str) -> Path:
    return Path(tempfile.gettempdir(), f"wellhead-{name}.lock")


def _option(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"--wellhead-{name}")
    return str(given or config.getini(f"wellhead_{name.replace('-', '_')}") or "")


def _is_kept(config: pytest.Config) -> bool:
    return bool(config.getoption("--wellhead-keep") or _option(config, "cluster"))


@pytest.fixture(scope="session")
def wellhead_cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A cluster, started when the first test asks for it; one for all processes of xdist."""
    from wellhead.clusters.cluster import Cluster
    from wellhead.lab.cluster import LabError

    existing = _option(pytestconfig, "cluster")
    nodes, mode, family = (_option(pytestconfig, each) for each in ("nodes", "proxy-mode", "ip-family"))
    try:
        if existing:
            cluster = Cluster(existing, existing=True).up()
        else:
            is_shared = hasattr(pytestconfig, "workerinput")
            wishes: dict[str, Any] = {"proxy_mode": mode or None, "ip_family": family or None}
            cluster = Cluster(
                pytestconfig.stash[_NAME],
                nodes=int(nodes or 3),
                keep=is_shared or _is_kept(pytestconfig),
                **wishes,
            )
            with _lock_of(cluster.name).open("w") as lock:
                # One process of xdist starts it, while the others wait for all of it.
                fcntl.flock(lock, fcntl.LOCK_EX)
                cluster.up()
    except (LabError, ValueError) as error:
        raise pytest.UsageError(f"wellhead: {error}") from None
    try:
        for archive in pytestconfig.getini("wellhead_images"):
            cluster.load_image(archive)
        yield cluster
    finally:
        cluster.close()
        if not hasattr(pytestconfig, "workerinput"):
            _lock_of(cluster.name).unlink(missing_ok=True)


@pytest.fixture
def wellhead_namespace(request: pytest.FixtureRequest, wellhead_cluster: Cluster) -> Iterator[Namespace]:
    """A namespace of this test's own, gone with all that is in it when the test has ended.

    Where the test fails, its report shows the namespace's events and logs, and a trace of the last request.
    """
    with wellhead_cluster.namespace(request.node.name) as namespace:
        wellhead_cluster.last_request = None
        yield namespace


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what a cluster says to the report of a test that failed in it."""
    report = yield
    namespace = getattr(item, "funcargs", {}).get("wellhead_namespace")
    if report.when == "call" and report.failed and namespace is not None:
        for title, text in _sections(cast("Namespace", namespace)):
            if text.strip():
                report.sections.append((f"wellhead: {title}", text))
    return report


def _sections(namespace: Namespace) -> Iterator[tuple[str, str]]:
    """What is worth knowing, by titles; what can't be had says why."""
    questions: tuple[tuple[str, Callable[[], str]], ...] = (
        ("pods", lambda: namespace.kubectl("get", "pods,services", "-o", "wide", check=False)),
        ("events", namespace.events),
        ("logs", lambda: _logs(namespace)),
        ("trace of the last request", lambda: _trace(namespace.cluster)),
    )
    for title, ask in questions:
        try:
            yield title, ask()
        except Exception as error:  # a report never hides the failure that it is about
            yield title, f"{type(error).__name__}: {error}"


def _logs(namespace: Namespace) -> str:
    logs = [(name, text.strip()) for name, text in namespace.logs(_LINES).items()]
    return "\n".join(f"{name}:\n{text}" for name, text in logs[:_PODS] if text)


def _trace(cluster: Cluster) -> str:
    """The last request, sent once more and followed."""
    from urllib.parse import urlsplit

    from wellhead.ip import bracketed
    from wellhead.trace import text

    asked = cluster.last_request
    if asked is None:
        return ""
    url = urlsplit(asked.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    to = f"{bracketed(url.hostname or '')}:{port}"
    if url.scheme == "https":
        trace = cluster.trace(to, client=asked.host, how="tcp")
    else:
        trace = cluster.trace(to, client=asked.host, how="http", path=url.path or "/")
    return "\n".join(text.lines(trace))
