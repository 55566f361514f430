"""What the documents say to apply is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.kubectl.binaries import CURRENT

ROOT = Path(__file__).parents[2]
NAMED = {
    each
    for document in (ROOT / "docs").glob("*.md")
    for each in re.findall(r"kubectl (?:apply|delete) -k (deploy/[\w/-]+)", document.read_text())
}


@pytest.mark.parametrize("base", sorted(NAMED))
def test_a_base_that_a_document_names_can_be_applied(base: str) -> None:
    made = subprocess.run([CURRENT, "kustomize", base], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "kind:" in made.stdout
