"""`wellhead image`: build the built-in container images, list what there is."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from wellhead.cli.options import output_option
from wellhead.cli.progress import progress
from wellhead.images.build import build, missing
from wellhead.images.packages import BuildError
from wellhead.images.store import ImageStore

_directory = click.option(
    "--image-dir",
    type=click.Path(path_type=Path),
    default=Path("/var/cache/wellhead/images"),
    show_default=True,
    help="Where images are kept.",
)


@click.group("image", short_help="Build and list the container images that pods can use.")
def command() -> None:
    """The container images that pods can use: busybox and echoserver, made from Debian packages.

    Nothing gets installed, and nothing is pulled from a registry.
    """


@command.command("build")
@_directory
@click.option("--again", is_flag=True, help="Also build what is there already, from today's packages.")
def build_command(image_dir: Path, again: bool) -> None:
    """Build the built-in images that are missing. Needs root, apt and (only then) a network."""
    try:
        with progress("Building images") as report:
            built = build(ImageStore(image_dir), again=again, report=report)
    except (BuildError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for image in built:
        click.echo(f"built {image.names[0]} ({image.size / 1e6:.1f} MB)")


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
        click.echo(msgspec.json.format(msgspec.json.encode(images)).decode())
    elif not quiet:
        table = Table("NAME", "ID", "SIZE", "CREATED", box=None, pad_edge=False)
        for image in images:
            for name in image.names:
                table.add_row(name, image.id[7:19], f"{image.size / 1e6:.1f} MB", image.created[:19] + "Z")
        Console().print(table)
    if check and (lacking := missing(store)):
        names = ", ".join(recipe.names[0] for recipe in lacking)
        click.echo(f"missing or out of date: {names}; run `wellhead image build`", err=True)
        sys.exit(1)
