"""The program in wget's place: what it makes of its options, told by stubs of what it calls."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wellhead.images.busybox import FILES

_BUSYBOX = """#!/bin/sh
printf '<%s>' "$@"
"""
_TIMEOUT = """#!/bin/sh
printf '%s ' "$1" "$2" "$3"; shift 3; "$@"
exit ${STATUS:-0}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("bin")
    for name, text in (("busybox", _BUSYBOX), ("timeout", _TIMEOUT), ("wget", FILES["/usr/bin/wget"])):
        (found / name).write_text(text)
        (found / name).chmod(0o755)
    return found


def wget(programs: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "STATUS": str(status)}
    return subprocess.run(
        [programs / "wget", *words], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["-qO-", "http://a/"], "<-qO-><http://a/>"),
        (["-T", "3", "-qO-", "http://a/"], "-s INT 3 <-qO-><http://a/>"),
        (["-T3", "http://a/", "-q", "-O", "x y"], "-s INT 3 <http://a/><-q><-O><x y>"),
        (["-qT", "3", "-Px"], "-s INT 3 <-q><-Px>"),
        (["--timeout=4", "--header", "-T: 3", "http://a/"], "-s INT 4 <--header><-T: 3><http://a/>"),
        (["-T", "0", "http://a/"], "<http://a/>"),
        (["-SU", "me", "--spider", "http://a/"], "<-SU><me><--spider><http://a/>"),
    ],
)
def test_time_limits_become_another_programs(programs: Path, words: list[str], called: str) -> None:
    limit, _, options = called.partition("<")
    assert wget(programs, *words).stdout == f"{limit}<wget><--no-check-certificate><{options}"


def test_what_took_too_long_is_said_and_fails(programs: Path) -> None:
    done = wget(programs, "-T", "3", "http://a/", status=130)
    assert (done.returncode, done.stderr) == (1, "wget: download timed out\n")
    assert wget(programs, "-T", "3", "http://a/", status=1).returncode == 1


def test_a_limit_that_is_no_number_is_refused(programs: Path) -> None:
    done = wget(programs, "-T", "soon", "http://a/")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "wget: invalid number 'soon'\n")
