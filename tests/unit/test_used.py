"""Nothing is there for nobody, or for tests alone."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_CALLED_BY_LIBRARIES = {
    "_prepare_hook": "aiohttp's answers",
    "feed_data": "aiohttp's parser",
    "feed_eof": "aiohttp's parser",
    "format_commands": "click",
    "get_command": "click",
    "list_commands": "click",
}
_WORD = re.compile(r"[A-Za-z_]\w*")


def test_every_function_and_class_is_used_by_what_is_no_test() -> None:
    sources = {
        file: file.read_text()
        for each in ("src", "bench", "examples")
        for file in (_ROOT / each).rglob("*.py")
    }
    named = Counter(word for text in sources.values() for word in _WORD.findall(text))
    once = {word for word, count in named.items() if count == 1}
    suspected = {file: text for file, text in sources.items() if not once.isdisjoint(_WORD.findall(text))}
    unused = {
        node.name: file.relative_to(_ROOT).as_posix()
        for file, text in suspected.items()
        if file.is_relative_to(_ROOT / "src") and not file.name.endswith("_pb2.py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name in once
        and not node.name.startswith(("__", "pytest_"))
        and not node.decorator_list  # else the decorator may have told somebody
    }
    assert unused.keys() == _CALLED_BY_LIBRARIES.keys(), unused
