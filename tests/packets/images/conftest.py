"""Loading as root: skopeo and umoci run in mount namespaces of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from wellhead.images.store import ImageStore


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """An empty store beside files that nothing may touch."""
    return ImageStore(tmp_path / "store")
