"""The typed views say what the schema says."""

from __future__ import annotations

from pathlib import Path

import pytest

from wellhead.api import types
from wellhead.api.types import generate

FILES = generate.files()


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_types_is_as_the_schema_has_it(file: str) -> None:
    there = Path(types.__path__[0], f"{file}.py").read_text()
    assert there == FILES[file], "run: python -m wellhead.api.types.generate"
