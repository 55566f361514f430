"""Which built-in images have to be built."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wellhead.images.build import RECIPES, missing
from wellhead.images.store import MANIFEST, Config, Image, ImageStore


def add(store: Path, number: int, recipe: str, *names: str) -> None:
    digest = f"{number:064x}"
    image = Image(f"sha256:{digest}", names, Config(), recipe, "2026-01-01T00:00:00Z", 5)
    (store / digest).mkdir()
    (store / digest / MANIFEST).write_bytes(msgspec.json.encode(image))


def test_a_built_in_image_whose_name_another_has_is_missing_once_that_is_gone(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    assert missing(store) == list(RECIPES)
    first, *others = RECIPES
    for number, recipe in enumerate(others):
        add(tmp_path, number, recipe.version, *recipe.names)
    add(tmp_path, 100, first.version)
    assert missing(store) == [first]
    add(tmp_path, 101, "", *first.names)
    assert missing(store) == []
