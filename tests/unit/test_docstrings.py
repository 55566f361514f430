"""What docstrings and comments name is there: rooms and files of ours."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from importlib import import_module, util
from pathlib import Path

import pytest

import wellhead

SOURCES = Path(wellhead.__file__).parent
NAMED = re.compile(r"\b(wellhead(?:\.(?!dev\b)\w+)+|[\w/]+\.py)\b")


def prose(file: Path) -> Iterator[str]:
    """The comments and strings of a file that may be docstrings."""
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and '"""' in token.string):
            yield token.string


ANYBODYS = {"click.py"}
"""Files of which is told, where people happen to have them."""


def exists(name: str, file: Path) -> bool:
    if name in ANYBODYS:
        return True
    if name.endswith(".py"):
        places = [*file.parents[: len(file.relative_to(SOURCES).parts)], SOURCES.parents[1]]
        return any((place / name).exists() for place in places) or any(SOURCES.rglob(name))
    attributes: list[str] = []
    module = name
    while util.find_spec(module.partition(".")[0]) and not _is_module(module):
        module, _, last = module.rpartition(".")
        attributes.insert(0, last)
    found: object = import_module(module)
    for each in attributes:
        if not hasattr(found, each):
            return False
        found = getattr(found, each)
    return True


def _is_module(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("package", sorted(each.name for each in SOURCES.iterdir() if each.is_dir()))
def test_what_prose_names_is_there(package: str) -> None:
    missing = [
        f"{file.relative_to(SOURCES)}: {name}"
        for file in (SOURCES / package).rglob("*.py")
        for text in prose(file)
        for name in NAMED.findall(text)
        if not exists(name, file)
    ]
    assert missing == []
