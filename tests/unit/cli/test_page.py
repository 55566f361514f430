"""`wellhead page`: what its command line takes, and refuses."""

from __future__ import annotations

import socket
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from click.testing import CliRunner

from wellhead.cli.page import command
from wellhead.page import opening
from wellhead.page.serving import CannotListen, bind

_HEAVY = ("aiohttp", "pyroute2", "yaml", "wellhead.paths.report", "wellhead.trace.session", "wellhead.lab")


def test_help_is_quick_and_says_that_changes_must_be_allowed() -> None:
    script = (
        "import sys\n"
        "from wellhead.cli.page import command\n"
        "try: command(['--help'])\n"
        "finally: print('LOADED', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    told, _, loaded = done.stdout.partition("LOADED")
    assert "--allow-changes" in told
    assert "Ctrl-C ends it" in told
    assert not set(_HEAVY) & set(loaded.split())


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    file.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(command, ["-f", str(file), "--port", str(port)])
    assert done.exit_code == 1
    assert f"port {port} of 127.0.0.1 is taken: give another one by --port" in done.output


def test_without_a_port_the_next_free_one_is_taken() -> None:
    with bind(ip_address("127.0.0.1"), None) as one, bind(ip_address("127.0.0.1"), None) as other:
        assert one.getsockname()[1] != other.getsockname()[1]


def test_an_address_that_is_nobodys_here_is_refused() -> None:
    with pytest.raises(CannotListen, match="192\\.0\\.2\\.1"):
        bind(ip_address("192.0.2.1"), None)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-f", "x.json", "--kubeconfig", "y"], "one of them"),
        (["--address", "localhost"], "does not appear to be an IPv4 or IPv6 address"),
        (["--port", "70000"], "not in the range"),
        (["--name", "NoSuch!"], "can't be a cluster's name"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], why: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code
    assert why in done.output


def test_files_that_are_not_there_end_it_with_a_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["-f", str(tmp_path / "nothing.yaml")])
    assert done.exit_code == 1
    assert "nothing.yaml: No such file" in done.output


def test_the_link_is_opened_without_telling_it_to_who_lists_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(opening, "start", opened.append)
    with opening.opened("http://127.0.0.1:8410/#token=secret"):
        [url] = opened
        assert "secret" not in url
        file = Path(url.removeprefix("file://"))
        assert "http://127.0.0.1:8410/#token=secret" in file.read_text()
        assert file.parent.stat().st_mode & 0o077 == 0
    assert not file.exists()
