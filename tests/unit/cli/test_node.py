"""Several components in one process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from wellhead import component
from wellhead.cli.main import main
from wellhead.cli.node import split
from wellhead.client import connection


def test_command_lines_are_told_apart_by_a_plus() -> None:
    assert list(split(("proxy", "--v", "2", "+", "policy"))) == [("proxy", "--v", "2"), ("policy",)]
    assert list(split(("proxy",))) == [("proxy",)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["proxy", "--no-such-flag", "1"], "--no-such-flag"),
        (["proxy", "--help"], "Run the service proxy of one node"),
        (["prooxy"], "No such command 'prooxy'"),
        ([], "Missing argument 'COMPONENT …'"),
    ],
)
def test_a_command_line_that_is_wrong_is_explained_as_alone(lines: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["node", *lines])
    assert said in result.output
    assert "Traceback" not in result.output


def start(name: str, log: list[str], work: Callable[[], None] | None = None) -> None:
    """As a component's command does."""

    async def run() -> None:
        log.append(f"{name} begins")
        try:
            if work is not None:
                work()
            await asyncio.Event().wait()
        finally:
            log.append(f"{name} ends")

    component.run(name, run())


def test_a_signal_ends_all() -> None:
    log: list[str] = []
    component.run_together(
        "node",
        [partial(start, "a", log), partial(start, "b", log, lambda: signal.raise_signal(signal.SIGTERM))],
    )
    assert sorted(log) == ["a begins", "a ends", "b begins", "b ends"]


def test_when_one_fails_the_others_end_and_it_is_said_which(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError("no nftables here")

    log: list[str] = []
    with pytest.raises(SystemExit, match="1"):
        component.run_together("node", [partial(start, "a", log), partial(start, "policy", log, fail)])
    assert sorted(log) == ["a begins", "a ends", "policy begins", "policy ends"]
    shown = capsys.readouterr().err
    assert "policy failed" in shown
    assert "wellhead node: no nftables here" in shown


def test_what_is_no_fault_of_ours_is_said_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    async def start() -> None:
        connection.of_config(Path("kubeconfig"), {})

    with pytest.raises(SystemExit, match="1"):
        component.run("proxy", start())
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("wellhead proxy: kubeconfig: no current-context")


def test_one_whose_command_line_is_wrong_keeps_all_from_starting() -> None:
    def wrong() -> None:
        raise ValueError("--mode")

    log: list[str] = []
    with pytest.raises(ValueError, match="--mode"):
        component.run_together("node", [partial(start, "a", log), wrong])
    assert log == []
    component.run_together("node", [partial(start, "a", log, lambda: signal.raise_signal(signal.SIGTERM))])
    assert log == ["a begins", "a ends"]
