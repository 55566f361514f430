from __future__ import annotations

import os
import subprocess
import sys

from wellhead.lab import title

_PROGRAM = """
import os, subprocess
from pathlib import Path
from wellhead.lab import title
os.environ["INHERITED"] = "yes"
title.rename(["wellhead", "proxy", "--mode", "x"], {"WELLHEAD_CLUSTER": "c", "WELLHEAD_COMPONENT": "proxy"})
show = lambda name: Path(f"/proc/self/{name}").read_bytes().rstrip(b"\\0").split(b"\\0")
print(show("cmdline"), show("environ"), Path("/proc/self/comm").read_text().strip())
print(subprocess.run(["env"], capture_output=True, text=True, check=True).stdout)
"""


def test_proc_shows_the_new_title_and_children_inherit_the_old_environment() -> None:
    environment = {"PATH": os.environ["PATH"], "KEPT": "1", title.PADDING_VARIABLE: title.PADDING}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, title.PADDING],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    shown, inherited = done.stdout.split("\n", 1)
    assert shown == (
        "[b'wellhead', b'proxy', b'--mode', b'x'] "
        "[b'WELLHEAD_CLUSTER=c', b'WELLHEAD_COMPONENT=proxy'] wellhead proxy"
    )
    lines = inherited.splitlines()
    assert {"KEPT=1", "INHERITED=yes"} <= set(lines)
    assert not [line for line in lines if line.startswith("WELLHEAD_C")]


def test_a_title_without_room_is_cut() -> None:
    program = 'from wellhead.lab import title; title.rename(["x" * 100000], {"Y": "y" * 100000}); print("ok")'
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"
