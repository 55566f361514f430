"""Commands are run one after the other, as far as they succeed, and no shell reads them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.patience import reached
from wellhead.page import pulling

SCRIPT = """#!/bin/sh
echo "$#: $*"
case "$*" in *fail*) exit 1;; *wait*) touch "$STARTED"; exec sleep 600;; esac
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "kubectl"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    monkeypatch.setattr(pulling, "kubectl", lambda: str(program))
    return program


async def test_arguments_are_passed_as_they_are(kubectl: Path) -> None:
    found = await pulling.pull([("kubectl", "get", "a; reboot", "$(id)")], "/some/config")
    assert found.done
    assert found.output == "5: --kubeconfig /some/config get a; reboot $(id)\n"
    assert found.command == "kubectl get 'a; reboot' '$(id)'"


async def test_what_fails_ends_it_and_says_how(kubectl: Path) -> None:
    found = await pulling.pull([("kubectl", "one"), ("kubectl", "fail"), ("kubectl", "never")], None)
    assert not found.done
    assert found.output == "1: one\n1: fail\n"


async def test_a_page_that_ends_takes_its_command_along(
    kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    monkeypatch.setenv("STARTED", str(started))
    running = asyncio.create_task(pulling.pull([("kubectl", "wait")], None))
    await reached(started.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_without_kubectl_nothing_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "kubectl", lambda: None)
    assert pulling.can_change().why == "there is no kubectl, by which changes are made"
