"""`wellhead image`: load, pull and build container images, list, export and remove them."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem

from wellhead import __version__
from wellhead.api.names import DOCKER_CONFIG
from wellhead.cli.image_users import users
from wellhead.cli.options import output_option
from wellhead.cli.progress import progress
from wellhead.images import placing
from wellhead.images.bounds import Bounds, ImageError
from wellhead.images.build import build, missing
from wellhead.images.components.catalog import COMPONENTS, component
from wellhead.images.components.make import Made, make
from wellhead.images.export import export
from wellhead.images.load import load
from wellhead.images.packages import BuildError
from wellhead.images.pull import REGISTRIES, Options, pull
from wellhead.images.reference import normalize
from wellhead.images.registry.credentials import BadCredentials, keyring, lookup
from wellhead.images.store import Image, ImageNotFound, ImageStore
from wellhead.lab.cluster import IMAGE_CACHE, STATE_ROOT

_directory = click.option(
    "--image-dir",
    type=click.Path(path_type=Path),
    default=IMAGE_CACHE,
    show_default=True,
    help="Where images are kept.",
)


def _changing(directory: Path) -> ImageStore:
    """The store, to be changed by somebody who may."""
    there = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        raise click.ClickException(f"{there} can't be written by you: use sudo, or another --image-dir")
    return ImageStore(directory)


_COMPONENTS = tuple(each.name for each in COMPONENTS)
_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,14}) ?([KMGT]?)B?", str(value).upper(), re.ASCII)
        if match is None:
            self.fail(f"{value!r} is no size: say 500MB or 20GB", param, ctx)
        return int(match[1]) * _BYTES[match[2]]


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    images = ImageStore(ctx.params.get("image_dir") or IMAGE_CACHE).images()
    names = {name for image in images for name in (*image.names, *map(_short, image.names))}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _short(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


@click.group("image", short_help="Load, pull, build and list the container images that pods can use.")
def command() -> None:
    """The container images that pods can use: loaded from archives, pulled from registries, and built in.

    Pods of a cluster pull images only after `wellhead up --pull`.
    """


@command.command("load")
@_directory
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@click.option("--name", metavar="REF", help="What the image is called, whatever the archive says.")
@click.option("--max-size", type=_Size(), default="32GB", show_default=True, help="The most of one image.")
@click.option(
    "--max-files", type=click.IntRange(1), default=2_000_000, show_default=True, help="As many files at most."
)
def load_command(
    files: tuple[Path, ...], image_dir: Path, name: str | None, max_size: int, max_files: int
) -> None:
    """Load images from archives: running clusters have them at once.

    FILE is what `docker save` or `podman save` wrote, an OCI archive, or the directory of an OCI layout;
    compressed by gzip or zstd or not; `-` is standard input. Of images for several platforms this machine's
    is taken.
    """
    if name is not None and len(files) > 1:
        raise click.UsageError("--name is for one FILE")
    store = _changing(image_dir)
    with progress("Loading") as report:
        loaded = []
        try:
            for file in files:
                bounds = Bounds(max_size, max_files)
                loaded += load(store, file, name=name, bounds=bounds, report=report)
        except ImageError as error:
            raise click.ClickException(str(error)) from None
    for image in loaded:
        names = [each for each in image.names if "@" not in each]
        click.echo(f"loaded {', '.join(names or [image.id])} ({image.size / 1e6:.1f} MB)")


@command.command("pull")
@_directory
@click.argument("names", nargs=-1, required=True, metavar="REF...")
@click.option(
    "--credentials",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A Docker config.json with names and passwords (`docker login` and `skopeo login` write one).",
)
@click.option(
    "--registries",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help=f"Mirrors, and registries that speak plain HTTP: a registries.conf.  [default: {REGISTRIES}]",
)
@click.option("--plain-http", is_flag=True, help="Speak HTTP with a registry that has no (valid) TLS.")
@click.option("--max-size", type=_Size(), default="32GB", show_default=True, help="The most of one image.")
@click.option(
    "--max-files", type=click.IntRange(1), default=2_000_000, show_default=True, help="As many files at most."
)
def pull_command(
    names: tuple[str, ...],
    image_dir: Path,
    credentials: Path | None,
    registries: Path | None,
    plain_http: bool,
    max_size: int,
    max_files: int,
) -> None:
    """Pull images from their registries: running clusters have them at once.

    Of images for several platforms this machine's is taken. Ctrl-C leaves nothing behind.
    """
    store = _changing(image_dir)
    options = Options(
        registries=registries or REGISTRIES,
        trusted=True,
        plain_http=plain_http,
        bounds=Bounds(max_size, max_files),
    )
    try:
        keys = keyring([_as_secret(credentials)] if credentials is not None else ())
        with progress("Pulling") as report:
            pulled = [(name, pull(store, name, lookup(keys, name), options, report=report)) for name in names]
    except (BadCredentials, ImageError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or image_dir}: {error.strerror or error}") from None
    for name, image in pulled:
        click.echo(f"pulled {normalize(name)} ({image.size / 1e6:.1f} MB)")


def _as_secret(file: Path) -> dict[str, Any]:
    data = base64.b64encode(file.read_bytes()).decode()
    kind = DOCKER_CONFIG
    return {"metadata": {"name": str(file)}, "type": kind, "data": {".dockerconfigjson": data}}


@command.command("remove")
@_directory
@click.argument("names", nargs=-1, required=True, metavar="REF...", shell_complete=_complete)
@click.option("--force", is_flag=True, help="Also if pods use it: they go on, and can't start again with it.")
def remove_command(names: tuple[str, ...], image_dir: Path, force: bool) -> None:
    """Remove images, by name or by ID.

    An image goes with its last name. Its files are deleted once no container is on them any more.
    """
    store = _changing(image_dir)
    try:
        with placing.changing(store):
            for name in names:
                _remove(store, name, force)
    except (ImageNotFound, OSError) as error:
        raise click.ClickException(str(error)) from None


def _remove(store: ImageStore, name: str, force: bool) -> None:
    image = store.select(name)
    full = _called(image, name)
    tags = [each for each in image.names if "@" not in each]
    if full in tags and len(tags) > 1:
        left = tuple(each for each in image.names if each != full)
        placing.write_manifest(store, msgspec.structs.replace(image, names=left))
        click.echo(f"removed the name {full}; the image is still {', '.join(x for x in tags if x != full)}")
        return
    using = list(users(image, STATE_ROOT))
    if using and not force:
        raise click.ClickException(
            f"{full} is used; delete these first, or use --force:\n  " + "\n  ".join(using)
        )
    placing.discard(store, image)
    click.echo(f"removed {full}")


def _called(image: Image, name: str) -> str:
    """What somebody means by a name or the beginning of an ID: the full form of one of the image's own."""
    full = normalize(name)
    if full in image.names:
        return full
    by_tag = ", ".join(each for each in image.names if "@" not in each)
    return f"{image.id}{f' ({by_tag})' if by_tag else ''}"


@command.command("export")
@_directory
@click.argument("name", metavar="REF", shell_complete=_complete)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_command(name: str, file: Path, image_dir: Path) -> None:
    """Write an image to FILE, an OCI archive of one layer, that `load` and others take."""
    store = ImageStore(image_dir)
    try:
        image = store.select(name)
        full = normalize(name)
        known = full if full in image.names else next((each for each in image.names if "@" not in each), "")
        if "@" in known or not known:
            raise ImageError(f"{name} has no name with a tag to be exported under")
        export(store, image, known, file)
    except (ImageError, ImageNotFound) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or file}: {error.strerror or error}") from None
    click.echo(f"exported {known} to {file}")


@command.command("build")
@_directory
@click.argument("components", nargs=-1, metavar="[COMPONENT]...", type=click.Choice([*_COMPONENTS, "all"]))
@click.option("--again", is_flag=True, help="Also build what is there already, from today's packages.")
@click.option(
    "--to",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dist/images"),
    show_default=True,
    help="Where components' archives are written.",
)
@click.option("--tag", default=__version__, show_default=True, help="The tag of components' images.")
@click.option(
    "--load", "loads", is_flag=True, help="Load components' images as well: pods can use them at once."
)
@click.option(
    "--download-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=IMAGE_CACHE.parent / "downloads",
    show_default=True,
    help="Where the packages of components' images are kept.",
)
@output_option
def build_command(
    components: tuple[str, ...],
    image_dir: Path,
    again: bool,
    directory: Path,
    tag: str,
    loads: bool,
    download_dir: Path,
    output: str | None,
) -> None:
    """Build the built-in images that are missing, or archives of components' images for other clusters.

    \b
    wellhead image build                     the built-in ones, into --image-dir
    wellhead image build proxy cloud         wellhead-proxy.tar and wellhead-cloud.tar in --to, and beside
                                             each .cdx.json, which lists what is in (CycloneDX)
    wellhead image build all                 of each: proxy, cloud, policy, trace, explain

    A component's archive can be loaded by `docker load`, `ctr image import`, `kind load image-archive` and
    `wellhead image load`. It is made without Docker, of Debian packages and of wheels by their hashes; the
    same packages give the same digest. Needs root, apt and (for what was never downloaded) a network.
    """
    if os.geteuid() != 0:
        raise click.ClickException("images are built by root, of packages unpacked by root: use sudo")
    store = ImageStore(image_dir)
    try:
        if components:
            names = _COMPONENTS if "all" in components else tuple(dict.fromkeys(components))
            wanted = [component(name) for name in names]
            with progress("Building images") as report:
                made = make(wanted, directory, download_dir, tag=tag, report=report)
            for each in made if loads else ():
                load(store, each.file, name=None, bounds=Bounds(), report=lambda *_: None)
            _tell_made(made, output)
            return
        with progress("Building images") as report:
            built = build(store, again=again, report=report)
    except (BuildError, ImageError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if output == "json":
        told = [msgspec.to_builtins(image) for image in built]
        click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    for image in built:
        click.echo(f"built {image.names[0]} ({image.size / 1e6:.1f} MB)")


def _tell_made(made: list[Made], output: str | None) -> None:
    if output == "json":
        told = [msgspec.to_builtins(each, enc_hook=str) for each in made]
        click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    for each in made:
        sizes = f"{each.size / 1e6:.1f} MB, unpacked {each.unpacked / 1e6:.1f} MB"
        click.echo(f"built {_short(each.name)} in {each.file} ({sizes}): {each.digest}")


def _for_whom(image: Image) -> dict[str, dict[str, str]]:
    """Which pods may use it, by repository, where those aren't all; without the hashes of credentials."""
    words = {
        name: "everybody" if each.preloaded or each.anyone else "who has its credentials"
        for name, each in image.access.items()
    }
    return {"access": words} if words else {}


@command.command("list")
@_directory
@output_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.option("--check", is_flag=True, help="Exit with 1 if a built-in image is missing or out of date.")
def list_command(image_dir: Path, output: str | None, quiet: bool, check: bool) -> None:
    """List the images that pods can use."""
    store = ImageStore(image_dir)
    images = store.images()
    if output == "json" and not quiet:
        told = [{**msgspec.to_builtins(image), **_for_whom(image)} for image in images]
        click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    elif not quiet:
        rows = [("NAME", "ID", "SIZE", "CREATED")]
        for image in images:
            rest = image.id[7:19], f"{image.size / 1e6:.1f} MB", f"{image.created[:19]}Z"
            rows += [(name, *rest) for name in [x for x in image.names if "@" not in x] or ["<none>"]]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:  # names whole, however narrow the terminal: people copy them
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
            click.echo("  ".join((*cells, row[3])))
    if check and (lacking := missing(store)):
        names = ", ".join(recipe.names[0] for recipe in lacking)
        click.echo(f"missing or out of date: {names}; run `wellhead image build`", err=True)
        sys.exit(1)
