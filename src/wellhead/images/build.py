"""Build the built-in images that are missing or were built by older instructions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from wellhead.images import bird, busybox, echoserver, etcd, haproxy, placing
from wellhead.images.recipe import Recipe
from wellhead.images.store import Image, ImageStore

Report = Callable[[str, int, int], None]

RECIPES: tuple[Recipe, ...] = (busybox.RECIPE, echoserver.RECIPE, haproxy.RECIPE, etcd.RECIPE, bird.RECIPE)


def missing(store: ImageStore) -> list[Recipe]:
    """The recipes whose image is not in the store, or is there from older instructions.

    Who loaded another image under one of their names has that one: it isn't missing until that is removed.
    """
    images = store.images()
    present = {image.recipe for image in images}
    names = {name for image in images for name in image.names}
    return [
        recipe for recipe in RECIPES if recipe.version not in present or not names.issuperset(recipe.names)
    ]


def build(
    store: ImageStore, *, again: bool = False, report: Report = lambda what, done, total: None
) -> list[Image]:
    """Build what is missing, or everything if `again`. Returns what was built.

    `report` is told what is being built, how many are done, and how many there are to do.
    Safe beside another build of the same store: one waits for the other and then finds its work done. A
    build that is interrupted leaves nothing that would be taken for an image.

    Raises:
        BuildError: a package can't be had, or lacks something.
    """
    with placing.changing(store):
        built: list[Image] = []
        wanted = RECIPES if again else missing(store)
        for recipe in wanted:
            report(recipe.names[0], len(built), len(wanted))
            built.append(_build(store, recipe))
        if built:
            _remove_superseded(store)
        return built


def _build(store: ImageStore, recipe: Recipe) -> Image:
    with placing.workshop(store) as temporary:
        work, result = temporary / "work", temporary / "result"
        work.mkdir()
        result.mkdir()
        rootfs = result / "rootfs"
        rootfs.mkdir(mode=0o755)
        used = recipe.assemble(work, rootfs)
        image = Image(
            id="sha256:" + hashlib.sha256(msgspec.json.encode((recipe.version, sorted(used)))).hexdigest(),
            names=recipe.names,
            config=recipe.config,
            recipe=recipe.version,
            created=placing.now(),
            size=placing.size_of(rootfs),
            packages=tuple(sorted(used)),
        )
        placing.place(store, result, image)
    return image


def _remove_superseded(store: ImageStore) -> None:
    current = {recipe.version for recipe in RECIPES}
    names = {name for recipe in RECIPES for name in recipe.names}
    kept: set[str] = set()
    for image in store.images():
        if image.recipe in current and image.recipe not in kept:
            kept.add(image.recipe)
        elif image.recipe and names.issuperset(image.names) and not placing.in_use(store.rootfs(image)):
            placing.discard(store, image)
