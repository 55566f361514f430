"""The page's own tests and types, and that what is served is what its sources build."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.page import tools

STATIC = tools.ROOT / "src" / "wellhead" / "page" / "static"


def _run(*command: str) -> str:
    done = subprocess.run(
        command,
        cwd=tools.WEB,
        env=tools.node(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_types() -> None:
    _run("node", "node_modules/typescript/bin/tsc", "--noEmit")


def test_layout_hops_folds_and_links() -> None:
    assert "fail 0" in _run("node", "test.mjs")


def test_what_is_served_is_what_the_sources_build(tmp_path: Path) -> None:
    _run("node", "build.mjs", "--into", str(tmp_path))
    built = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    served = {each.name: each.read_bytes() for each in STATIC.iterdir()}
    assert built == served, "`make page` builds it anew"


def test_scripts_are_small_and_ask_nobody_else() -> None:
    script = (STATIC / "page.js").read_bytes()
    assert len(script) < 250_000
    addresses = set(re.findall(rb"https?://[^\"'` )]+", script)) - {
        b"http://www.w3.org/2000/svg",
        b"http://www.w3.org/1998/Math/MathML",
        b"http://www.w3.org/1999/xhtml",
    }
    assert not addresses
    sheet = (STATIC / "page.css").read_text()
    assert "http" not in sheet
    assert "url(" not in sheet


def test_locks_name_no_place() -> None:
    for each in (tools.WEB / "package-lock.json", tools.WEB / "requirements.lock"):
        assert "http" not in each.read_text()
