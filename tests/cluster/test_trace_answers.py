"""What `wellhead trace` prints and writes, and its refusals: the same in every proxy mode."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.cluster.lab import CLIENT, Lab
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def shop(lab: Lab, namespace: str) -> str:
    lab.run_pod("server", "node-1", namespace)
    lab.forwarded(lab.expose("cluster", "server", namespace, type="NodePort"))
    return namespace


def test_people_read_the_answer_in_the_first_three_lines(lab: Lab, shop: str) -> None:
    first, second, third, *_ = lab.wellhead("trace", "-n", shop, "--to", "svc/cluster").splitlines()
    assert first.startswith(f"client {CLIENT} → ")
    assert "The server sees 10.2" in second
    assert "not the client's" in second
    assert third.startswith("Because: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "svc/nothing"), "there is no Service nothing"),
        (("--to", "svc/cluster:81"), "has no port 81"),
        (("--to", "198.51.100.1"), "which port"),
        (("--to", "somewhere"), "is no address"),
        (("--to", "svc/cluster", "--from", "pod/nobody"), "there is no pod/nobody"),
        (("--to", "svc/cluster", "--via", "node-9"), "there is no node node-9"),
    ],
)
def test_a_wrong_question_is_answered_with_what_there_is(
    lab: Lab, shop: str, arguments: tuple[str, ...], words: str
) -> None:
    done = forks.run("trace", "--name", lab.name, "-n", shop, *arguments, seconds=3 * PATIENCE)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_packets_can_be_opened_with_their_places_and_comments(
    lab: Lab, shop: str, tmp_path: Path
) -> None:
    file = tmp_path / "trace.pcapng"
    lab.wellhead("trace", "-n", shop, "--to", "svc/cluster", "--via", "node-2", "--pcapng", str(file))
    interfaces, comments = _read(file)
    assert {"client eth0", "node-2 eth0"} <= interfaces
    assert any("node-2" in comment and ">" in comment for comment in comments)


def _read(file: Path) -> tuple[set[str], list[str]]:
    """Names of interfaces and comments of packets, by a reader that others wrote."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of its own tables of options
    from pcapng import FileScanner, blocks

    interfaces: set[str] = set()
    comments: list[str] = []
    with file.open("rb") as stream:
        for block in FileScanner(stream):
            options: dict[str, Any] = dict(getattr(block, "options", {}))
            if isinstance(block, blocks.InterfaceDescription):
                interfaces.add(options["if_name"])
            elif isinstance(block, blocks.EnhancedPacket):
                comments.append(str(options.get("opt_comment", "")))
    return interfaces, comments
