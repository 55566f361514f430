"""Rules of the house that a machine can check. `docs/contributing.md` says why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wellhead import ports

_ROOT = Path(__file__).parents[2]
_MOST_LINES = 450
_LONGER = {
    "src/wellhead/api/types/pod.py": 1010,  # as long as Kubernetes' schema of it
}
"""What they may not grow beyond. Nothing is added here: a file that holds one idea is shorter."""
_WAITS = {
    "tests/patience.py": "the place for it",
    "tests/cluster/load_client.py": "a client that asks so many times a second",
    "tests/cluster/test_fidelity.py": "nothing tells when a node has learned, and few questions may be asked",
    "tests/packets/cloud/test_proxy_faults.py": "clients that come so many times a second",
    "tests/integration/controllers/world.py": "a watch that is late",
    "tests/integration/controllers/test_nodes.py": "agents that renew leases now and then",
    "tests/unit/proxy/test_sync.py": "a sync that takes its time, which is virtual",
    "tests/unit/node/test_images.py": "back-offs, which are virtual",
    "tests/unit/node/test_port_tunnel.py": "a program that takes its time, which is virtual",
}
"""Files that may wait for a time to pass, and why."""
_TEXT = {".py", ".md", ".toml", ".lock", ".yaml", ".yml", ".json", ".txt", ".sh", ".svg", ""}
_REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
    )
]


def python(*directories: str) -> list[Path]:
    return sorted(file for each in directories for file in (_ROOT / each).rglob("*.py"))


def name(file: Path) -> str:
    return file.relative_to(_ROOT).as_posix()


def waits(tree: ast.AST) -> Iterator[int]:
    """Lines where a time is waited for: sleep(x), unless x is 0, and Event().wait(x), which nobody sets."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called, first = node.func, node.args[0]
        last = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        at_once = isinstance(first, ast.Constant) and first.value == 0
        nobody_s_event = last == "wait" and ast.unparse(called).endswith("Event().wait")
        if (last == "sleep" and not at_once) or nobody_s_event:
            yield node.lineno


@pytest.mark.parametrize("file", python("tests"), ids=name)
def test_tests_wait_for_events_and_never_for_a_time(file: Path) -> None:
    found = list(waits(ast.parse(file.read_text())))
    if name(file) in _WAITS:
        assert found, "it needs no exception any more"
    else:
        assert not found, "wait with tests.patience, or let virtual time pass"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("time.sleep(1)", [1]),
        ("async def f():\n    await asyncio.sleep(DELAY)", [2]),
        ("from time import sleep\nsleep(0.2)", [2]),
        ("threading.Event().wait(0.05)", [1]),
        ("asyncio.sleep(0)", []),
        ("process.wait(10)", []),
        ("pass_time(60)", []),
    ],
)
def test_what_counts_as_waiting_for_a_time(text: str, lines: list[int]) -> None:
    assert list(waits(ast.parse(text))) == lines


_BRACKETS = re.compile(r'f"\[\{[^"]*" if (?:":" in |[\w.]+\.version == 6)')
_LIMIT = re.compile(r"\b(?:asyncio\.timeout|settimeout)\((\d+(?:\.\d+)?)\)(?!.*#)")


def test_a_limit_is_long_or_says_why_not() -> None:
    found = [
        f"{name(file)}: {line.strip()}"
        for file in python("tests")
        for line in file.read_text().splitlines()
        for limit in _LIMIT.findall(line)
        if float(limit) < PATIENCE
    ]
    assert found == []


def test_brackets_of_ipv6_are_set_in_one_place() -> None:
    found = [name(file) for file in python("src") if _BRACKETS.search(file.read_text())]
    # An endpoint is written thousands of times: see there.
    assert sorted(found) == ["src/wellhead/ip.py", "src/wellhead/services/endpointslice.py"]


def test_exceptions_are_of_files_that_are_there() -> None:
    assert [each for each in _WAITS if not (_ROOT / each).exists()] == []


def test_files_hold_one_idea() -> None:
    lengths = {name(file): len(file.read_text().splitlines()) for file in python("src", "tests", "bench")}
    limits = {file: _LONGER.get(file, _MOST_LINES) for file in lengths}
    assert {file: lines for file, lines in lengths.items() if lines > limits[file]} == {}


def test_no_file_names_a_package_registry() -> None:
    directories = ("src", "tests", "bench", "docs", "deploy", "scripts", ".ci")
    files = [file for each in directories for file in (_ROOT / each).rglob("*") if file.is_file()]
    files += [file for file in _ROOT.iterdir() if file.is_file()]
    found = [
        name(file)
        for file in files
        if file.suffix in _TEXT
        and "__pycache__" not in file.parts
        and any(each in file.read_text(errors="replace") for each in _REGISTRIES)
    ]
    assert found == []


def test_default_ports_are_written_in_one_place() -> None:
    known = {each for each in vars(ports).values() if isinstance(each, int)} | {*ports.HEALTH.values()}
    number = re.compile(rf"\b({'|'.join(map(str, sorted(known)))})\b")
    elsewhere = {
        f"{file.relative_to(_ROOT)}:{node.lineno}"
        for file in python("src")
        if file.name != "ports.py" and number.search(text := file.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in known
    }
    assert elsewhere == set()


def test_labels_annotations_and_finalizers_are_written_in_one_place() -> None:
    form = re.compile(r"([a-z0-9-]+\.)*(kubernetes\.io|wellhead\.dev)/(?!v\d)[A-Za-z][\w.-]*\w")
    found: dict[str, set[str]] = {}
    for file in python("src"):
        text = file.read_text()
        if not {"types", "warnings"} & set(file.parts) and (
            "kubernetes.io/" in text or "wellhead.dev/" in text
        ):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Constant) and form.fullmatch(str(node.value)):
                    found.setdefault(str(node.value), set()).add(str(file.relative_to(_ROOT)))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
