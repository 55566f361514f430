"""What the documentation says of the bounds is what they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from wellhead.api.limits import Limits

_PAGE = Path(__file__).parents[3] / "docs" / "api-server-limits.md"


@pytest.mark.parametrize("field", dataclasses.fields(Limits), ids=lambda field: field.name)
def test_every_bound_is_documented_with_its_default(field: dataclasses.Field[float]) -> None:
    rows = [line.split("|") for line in _PAGE.read_text().splitlines() if line.startswith("| `--max-")]
    (row,) = (row for row in rows if row[1].strip() == f"`--max-{field.name.replace('_', '-')}`")
    assert float(row[2].replace(" ", "")) == field.default
    assert row[4].strip() == field.metadata["help"]
